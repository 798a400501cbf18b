//! Extensions whose functions do no more than their callers may: they compute,
//! and at most change how they themselves compute in this session. What is
//! refused by name in every schema (SQL in strings, files) is refused of these too.

/// Whether a function of an extension passes; `None` where the extension is not known.
pub(super) fn passes(extension: &str, function: &str) -> Option<bool> {
    let (_, of) = EXTENSIONS.iter().find(|(known, _)| *known == extension)?;
    Some(match of {
        Of::All => true,
        Of::AllBut(prefixes) => !prefixes.iter().any(|prefix| function.starts_with(prefix)),
        Of::Only(names) => names.contains(&function),
    })
}

enum Of {
    All,
    /// But names that begin with one of these.
    AllBut(&'static [&'static str]),
    Only(&'static [&'static str]),
}

/// Operators and casts are looked up by the name of the extension alone: those
/// of every extension here stand on its passing functions.
const EXTENSIONS: &[(&str, Of)] = &[
    ("btree_gin", Of::All),
    ("btree_gist", Of::All),
    ("citext", Of::All),
    ("cube", Of::All),
    ("dict_int", Of::All),
    ("dict_xsyn", Of::All),
    ("earthdistance", Of::All),
    ("fuzzystrmatch", Of::All),
    ("hll", Of::All),
    ("hstore", Of::All),
    ("intarray", Of::All),
    ("ip4r", Of::All),
    ("isn", Of::All),
    ("ltree", Of::All),
    ("pg_trgm", Of::All),
    ("pgcrypto", Of::All),
    ("seg", Of::All),
    ("semver", Of::All),
    ("tsm_system_rows", Of::All),
    ("tsm_system_time", Of::All),
    ("unaccent", Of::All),
    ("uuid-ossp", Of::All),
    ("vector", Of::All),
    ("tablefunc", Of::Only(&["normal_rand"])),
    (
        "timescaledb",
        Of::Only(&[
            "time_bucket",
            "time_bucket_gapfill",
            "locf",
            "interpolate",
            "first",
            "last",
            "histogram",
        ]),
    ),
    // But those that run SQL of their own making, change tables, or tell of all
    // rows by the planner's statistics.
    (
        "postgis",
        Of::AllBut(&[
            "_postgis",
            "addauth",
            "addgeometrycolumn",
            "checkauth",
            "disablelongtransactions",
            "dropgeometry",
            "enablelongtransactions",
            "find_srid",
            "gettransactionid",
            "lockrow",
            "longtransactionsenabled",
            "populate_geometry_columns",
            "postgis_extensions_upgrade",
            "st_estimatedextent",
            "st_estimated_extent",
            "st_findextent",
            "st_find_extent",
            "unlockrows",
            "updategeometrysrid",
        ]),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g2_an_extension_that_is_not_known_says_nothing() {
        assert_eq!(passes("pgcrypto", "digest"), Some(true));
        assert_eq!(passes("postgis", "st_area"), Some(true));
        assert_eq!(passes("postgis", "addgeometrycolumn"), Some(false));
        assert_eq!(passes("tablefunc", "crosstab"), Some(false));
        assert_eq!(passes("plpython3u", "f"), None);
    }
}
