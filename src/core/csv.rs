//! Lines of comma-separated values (RFC 4180).

/// One record. NULL is an empty field and an empty text is `""`, as in
/// PostgreSQL's own COPY (manual, COPY, "CSV Format").
pub fn csv_line<'a>(fields: impl Iterator<Item = Option<&'a str>>) -> String {
    let fields: Vec<String> = fields
        .map(|field| match field {
            None => String::new(),
            Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
                format!("\"{}\"", text.replace('"', "\"\""))
            }
            Some(text) => text.to_owned(),
        })
        .collect();
    format!("{}\r\n", fields.join(","))
}

/// Text from elsewhere, so that a spreadsheet takes it for text: one that
/// begins like a formula gets an apostrophe before it.
pub fn no_formula(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let line = csv_line([Some("a"), None, Some(""), Some("x,\"y\"\n")].into_iter());
        assert_eq!(line, "a,,\"\",\"x,\"\"y\"\"\n\"\r\n");
        assert_eq!(no_formula("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(no_formula("a=b"), "a=b");
    }
}
