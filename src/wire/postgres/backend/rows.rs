//! What a result's frames say, for those who read a recording later: the
//! gateway looks at their headers only.

use super::super::WireError;
use super::super::codec::Reader;
use super::super::frontend::Format;

/// One column of a RowDescription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDescription {
    pub name: String,
    pub type_oid: u32,
    /// Text where a statement was described, which has no formats yet.
    pub format: Format,
}

/// The columns of a RowDescription.
pub fn row_description(body: &[u8]) -> Result<Vec<ColumnDescription>, WireError> {
    let mut reader = Reader::new("RowDescription", body);
    let count = reader.u16()?;
    let columns = (0..count).map(|_| column(&mut reader)).collect::<Result<_, _>>()?;
    reader.end()?;
    Ok(columns)
}

/// The first columns of a RowDescription, of which the end may be missing, and
/// how many it has.
pub fn first_columns(body: &[u8]) -> (usize, impl Iterator<Item = ColumnDescription>) {
    let mut reader = Reader::new("RowDescription", body);
    let count = reader.u16().unwrap_or(0);
    (usize::from(count), (0..count).map_while(move |_| column(&mut reader).ok()))
}

fn column(reader: &mut Reader<'_>) -> Result<ColumnDescription, WireError> {
    let name = String::from_utf8_lossy(reader.cstr()?).into_owned();
    // The table's OID and the column's number in it.
    reader.bytes(4 + 2)?;
    let type_oid = reader.u32()?;
    // The type's size and modifier.
    reader.bytes(2 + 4)?;
    Ok(ColumnDescription { name, type_oid, format: reader.i16()?.into() })
}

/// The values of a DataRow; `None` is NULL.
pub fn data_row(body: &[u8]) -> Result<Vec<Option<&[u8]>>, WireError> {
    let mut reader = Reader::new("DataRow", body);
    let count = reader.u16()?;
    let values = (0..count).map(|_| reader.value()).collect::<Result<_, _>>()?;
    reader.end()?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_and_its_rows_are_read_to_their_end() {
        let body = b"\0\x02id\0\0\0\x40\0\0\x01\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01n\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
        let columns = row_description(body).unwrap();
        let shown: Vec<_> = columns.iter().map(|c| (c.name.as_str(), c.type_oid, c.format)).collect();
        assert_eq!(shown, [("id", 23, Format::Binary), ("n", 25, Format::Text)]);
        for length in 0..body.len() {
            assert!(row_description(&body[..length]).is_err());
            let (count, first) = first_columns(&body[..length]);
            let whole = [23, 43].iter().filter(|end| **end <= length).count();
            assert_eq!((count, first.count()), (if length < 2 { 0 } else { 2 }, whole), "{length}");
        }
        let row = b"\0\x03\0\0\0\x01a\xff\xff\xff\xff\0\0\0\0";
        assert_eq!(data_row(row).unwrap(), [Some(b"a".as_slice()), None, Some(b"")]);
        for length in 0..row.len() {
            assert!(data_row(&row[..length]).is_err());
        }
    }
}
