use super::*;
use crate::core::model::TableName;

/// Schemas and relations with views, of names that are easy and that are not.
const MASKED: &[(&str, &str)] = &[
    ("public", "users"),
    ("public", "events_2024"),
    ("hr", "Weird \"Täble\" ☃"),
    ("Ünï \"x", "data"),
    ("temp", "user"),
    ("public", "a_table_name_that_is_exactly_sixty_three_bytes_long_0123456789a"),
];

fn views() -> Views {
    let mut views = Views::default();
    for (schema, name) in MASKED {
        let next = views.schemas.len();
        let view = views.schemas.entry((*schema).to_owned());
        let view = view.or_insert_with(|| format!("dbaccess_v_0123456789abcdef_{next}")).clone();
        views.relations.insert(TableName::new(*schema, *name), TableName::new(view, *name));
    }
    views
}

/// The rewritten text, view schemas shown as V0, V1…
fn rewritten(text: &str) -> String {
    let facts = analyse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let rewrite = Rewrite::of(text, &facts, &views()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let new = rewrite.map_or(text.to_owned(), |rewrite| rewrite.apply(text));
    let short = |new: String, n: usize| {
        new.replace(&format!("\"dbaccess_v_0123456789abcdef_{n}\""), &format!("V{n}"))
    };
    (0..4).fold(new, short)
}

#[test]
fn names_become_those_of_views_wherever_they_stand() {
    for (text, expected) in [
        // The spellings of the red team's corpus.
        ("SELECT email, ssn FROM public.users LIMIT 5", "SELECT email, ssn FROM V0.users LIMIT 5"),
        ("SELECT email FROM PUBLIC.Users LIMIT 5", "SELECT email FROM V0.Users LIMIT 5"),
        ("SELECT email FROM public/**/./* x */users", "SELECT email FROM V0/**/./* x */users"),
        ("SELECT email FROM public -- c\n . users LIMIT 5", "SELECT email FROM V0 -- c\n . users LIMIT 5"),
        ("SELECT email FROM U&\"\\0070ublic\".U&\"\\0075sers\"", "SELECT email FROM V0.U&\"\\0075sers\""),
        (
            "SELECT email FROM U&\"!0070ublic\" UESCAPE '!' . users LIMIT 5",
            "SELECT email FROM V0 . users LIMIT 5",
        ),
        ("TABLE public.users", "TABLE V0.users"),
        (
            "SELECT email FROM users WHERE id IN (SELECT id FROM public.users WHERE email > 'a') LIMIT 5",
            "SELECT email FROM users WHERE id IN (SELECT id FROM V0.users WHERE email > 'a') LIMIT 5",
        ),
        (
            "WITH users AS (SELECT * FROM public.users) SELECT email, ssn, phone FROM users LIMIT 5",
            "WITH users AS (SELECT * FROM V0.users) SELECT email, ssn, phone FROM users LIMIT 5",
        ),
        (
            "SELECT public.users.id, public.users.plan FROM public.users WHERE public.users.id = 5",
            "SELECT V0.users.id, V0.users.plan FROM V0.users WHERE V0.users.id = 5",
        ),
        (
            "SELECT u.plan FROM public.users AS u WHERE u.id = 5",
            "SELECT u.plan FROM V0.users AS u WHERE u.id = 5",
        ),
        // Others of the kind.
        ("SELECT \"public\".\"users\".* FROM shop.public.users", "SELECT V0.\"users\".* FROM shop.V0.users"),
        ("SELECT shop.public.users.id FROM shop.public.users", "SELECT shop.V0.users.id FROM shop.V0.users"),
        ("SELECT public.users.profile[1].a FROM users", "SELECT V0.users.profile[1].a FROM users"),
        ("SELECT 1 FROM ONLY(public.users)", "SELECT 1 FROM ONLY(V0.users)"),
        ("SELECT U&public.users.id FROM public.users", "SELECT U& V0.users.id FROM V0.users"),
        ("SELECT a\"b\",public.users.id FROM public.users", "SELECT a\"b\",V0.users.id FROM V0.users"),
        (
            "SELECT * FROM hr.\"Weird \"\"Täble\"\" ☃\" JOIN \"Ünï \"\"x\".data USING (a)",
            "SELECT * FROM V1.\"Weird \"\"Täble\"\" ☃\" JOIN V2.data USING (a)",
        ),
        ("SELECT 1 FROM temp.\"user\"", "SELECT 1 FROM V3.\"user\""),
        (
            "INSERT INTO public.users AS u (a) SELECT a FROM public.users ON CONFLICT (a) DO UPDATE SET a = public.users.a RETURNING public.users.id",
            "INSERT INTO V0.users AS u (a) SELECT a FROM V0.users ON CONFLICT (a) DO UPDATE SET a = V0.users.a RETURNING V0.users.id",
        ),
        (
            "UPDATE public.users SET (a, b) = (SELECT 1, 2 FROM public.users) WHERE public.users.id = 1",
            "UPDATE V0.users SET (a, b) = (SELECT 1, 2 FROM V0.users) WHERE V0.users.id = 1",
        ),
        (
            "DELETE FROM public.users USING public.events_2024 e",
            "DELETE FROM V0.users USING V0.events_2024 e",
        ),
        (
            "MERGE INTO public.users t USING public.users u ON t.id = u.id WHEN MATCHED THEN DELETE",
            "MERGE INTO V0.users t USING V0.users u ON t.id = u.id WHEN MATCHED THEN DELETE",
        ),
        ("COPY public.users (id) TO STDOUT", "COPY V0.users (id) TO STDOUT"),
        ("COPY (SELECT * FROM public.users) TO STDOUT", "COPY (SELECT * FROM V0.users) TO STDOUT"),
        ("COPY public.users FROM STDIN", "COPY V0.users FROM STDIN"),
        ("LOCK public.users, users IN SHARE MODE", "LOCK V0.users, users IN SHARE MODE"),
        ("LOCK public.users IN ACCESS SHARE MODE", "LOCK V0.users IN ACCESS SHARE MODE"),
        ("PREPARE p AS SELECT * FROM public.users", "PREPARE p AS SELECT * FROM V0.users"),
        ("EXPLAIN ANALYZE TABLE public.users", "EXPLAIN ANALYZE TABLE V0.users"),
        ("DECLARE c CURSOR FOR TABLE public.users", "DECLARE c CURSOR FOR TABLE V0.users"),
        ("CREATE TEMP TABLE t AS TABLE public.users", "CREATE TEMP TABLE t AS TABLE V0.users"),
        ("CREATE TEMP TABLE t (LIKE public.users)", "CREATE TEMP TABLE t (LIKE V0.users)"),
        (
            "SELECT 1; /* é */ TABLE public.users; SELECT 'public.users'",
            "SELECT 1; /* é */ TABLE V0.users; SELECT 'public.users'",
        ),
        (
            "SELECT * FROM t WHERE a = ANY (ARRAY(SELECT id FROM public.users))",
            "SELECT * FROM t WHERE a = ANY (ARRAY(SELECT id FROM V0.users))",
        ),
        (
            "SELECT * FROM t, LATERAL (TABLE public.users) x FOR UPDATE OF t",
            "SELECT * FROM t, LATERAL (TABLE V0.users) x FOR UPDATE OF t",
        ),
    ] {
        assert_eq!(rewritten(text), expected);
    }
}

#[test]
fn what_has_no_view_or_is_no_relation_stays() {
    for text in [
        "SELECT * FROM users, public.audit_secrets, pg_catalog.pg_class, pg_toast.pg_toast_1262",
        "SELECT public.users FROM users",
        "SELECT 'public.users'::regclass, NULL::public.users, public.users(1), 1 OPERATOR(public.+) 2",
        "SELECT conname FROM pg_constraint WHERE conrelid='public.users'::regclass",
        "SELECT * FROM \"PUBLIC\".users, public.\"Users\", public . \"users \"",
        "CREATE TABLE t (LIKE public.users)",
        "ALTER TABLE public.users ADD COLUMN x int",
        "TRUNCATE public.users",
        "SET search_path = DEFAULT",
        "SET search_path TO pg_catalog, \"$user\"",
        "SET search_path TO 'public, hr'",
        "SET timezone TO public",
        "SELECT set_config('search_path', '', false), set_config('search_path', $1, false)",
        "",
    ] {
        assert_eq!(rewritten(text), text);
    }
}

#[test]
fn a_schema_in_search_path_has_its_views_before_it() {
    for (text, expected) in [
        ("SET search_path TO public", "SET search_path TO V0, public"),
        ("SET search_path=public,pg_catalog, 'hr'", "SET search_path=V0, public,pg_catalog, V1, 'hr'"),
        (
            "SET LOCAL search_path TO \"Ünï \"\"x\", PUBLIC",
            "SET LOCAL search_path TO V2, \"Ünï \"\"x\", V0, PUBLIC",
        ),
        ("SET Search_Path TO E'public'", "SET Search_Path TO V0, E'public'"),
        ("SET SCHEMA 'public'", "SET search_path TO V0, 'public'"),
        (
            "SET LOCAL SCHEMA/**/U&'!0070ublic' UESCAPE '!'",
            "SET LOCAL search_path TO V0,/**/U&'!0070ublic' UESCAPE '!'",
        ),
        // What SHOW search_path has said can be said again.
        (
            "SET search_path TO dbaccess_v_0123456789abcdef_0, public",
            "SET search_path TO dbaccess_v_0123456789abcdef_0, public",
        ),
        (
            "SELECT set_config('search_path','public',false)",
            "SELECT set_config('search_path','V0, public',false)",
        ),
        (
            "SELECT pg_catalog.set_config('Search_Path', U&'!0070ublic, hr' UESCAPE '!'::text, true), 1",
            "SELECT pg_catalog.set_config('Search_Path', 'V0, public, V1, hr'::text, true), 1",
        ),
        (
            "SELECT set_config('search_path', 'a''b\\, public', false)",
            "SELECT set_config('search_path',  E'a''b\\\\, V0, public', false)",
        ),
        (
            "BEGIN; SET search_path TO public; TABLE public.users",
            "BEGIN; SET search_path TO V0, public; TABLE V0.users",
        ),
    ] {
        assert_eq!(rewritten(text), expected);
    }
    let views = views();
    for (value, expected) in [
        ("public", "V0, public"),
        (" \"$user\" ,PUBLIC,\"hr\"", " \"$user\" ,V0, PUBLIC,V1, \"hr\""),
        ("\"Ünï \"\"x\"", "V2, \"Ünï \"\"x\""),
        ("\"PUBLIC\", pg_catalog", "\"PUBLIC\", pg_catalog"),
        ("", ""),
        ("public,,hr", "public,,hr"),
        ("public,", "public,"),
        ("\"public", "\"public"),
        ("public hr", "public hr"),
    ] {
        let new =
            search_path(value, &views).replace("\"dbaccess_v_0123456789abcdef_", "V").replace("V0\"", "V0");
        assert_eq!(new.replace("V1\"", "V1").replace("V2\"", "V2"), expected);
    }
    assert!(matches!(search_path("public", &Views::default()), Cow::Borrowed(_)));
}

#[test]
fn a_place_in_the_new_text_is_found_in_the_old_one() {
    let text = "SELECT 'é☃', public.users.nope FROM U&\"!0070ublic\" UESCAPE '!'.users WHERE x";
    let facts = analyse(text).unwrap();
    let rewrite = Rewrite::of(text, &facts, &views()).unwrap().unwrap();
    let new = rewrite.apply(text);
    let at = |text: &str, what: &str| text.split(what).next().unwrap().chars().count() + 1;
    for (there, here) in [
        ("SELECT", "SELECT"),
        ("'é", "'é"),
        (", \"db", ", public"),
        (".nope", ".nope"),
        ("FROM", "FROM"),
        (".users W", ".users W"),
        ("WHERE", "WHERE"),
        ("x", "x"),
    ] {
        // The x of the hexadecimal digits is none.
        let there = if there == "x" { new.chars().count() } else { at(&new, there) };
        let here = if here == "x" { text.chars().count() } else { at(text, here) };
        assert_eq!(rewrite.position(there), here);
    }
    let inside = at(&new, "dbaccess_v");
    assert_eq!(rewrite.position(inside), at(text, "public.users"));
    assert_eq!((rewrite.position(0), rewrite.position(1)), (0, 1));
}

#[test]
fn a_repeated_statement_is_rewritten_once() {
    let (cache, rewrites, views) = (crate::core::sql::FactsCache::new(1 << 20), Rewrites::default(), views());
    let of = |text: &str| {
        let facts = cache.analyse(text).unwrap();
        let rewrite = rewrites.of(text, &facts, &views).unwrap();
        rewrite.map(|rewrite| (rewrite.apply(text), rewrite))
    };
    let (new, first) = of("SELECT 1 FROM public.users WHERE id = 17").unwrap();
    assert!(new.ends_with("id = 17"));
    let (new, again) = of("SELECT 1 FROM public.users WHERE id = 42").unwrap();
    assert!(new.ends_with("id = 42") && Arc::ptr_eq(&first, &again));
    assert!(of("SELECT 1 FROM users WHERE id = 42").is_none());
    for n in 0..3000 {
        of(&format!("SELECT 1 FROM public.users WHERE a = '{n}'")).unwrap();
        assert!(Arc::ptr_eq(&first, &of("SELECT 1 FROM public.users WHERE id = 99").unwrap().1), "after {n}");
    }
    let held: usize = rewrites.generations.lock().unwrap().iter().map(HashMap::len).sum();
    assert!(held <= 2 * MOST, "{held}");
}

/// Texts at random, and how many places in them have a view.
struct Texts {
    state: u64,
    places: usize,
}

impl Texts {
    fn below(&mut self, n: usize) -> usize {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % n
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn space(&mut self) -> &'static str {
        self.pick(&["", " ", "\n", "\t ", "/* public.users */", " -- 'é\n", "/* /* ☃ */ */"])
    }

    fn gap(&mut self) -> String {
        let space = self.space();
        if space.is_empty() { " ".to_owned() } else { space.to_owned() }
    }

    fn name(&mut self, name: &str) -> String {
        let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && name != "user";
        match self.below(if plain { 6 } else { 3 }) {
            0 | 1 => quote_ident(name),
            2 => {
                let sign = self.pick(&["", "!", "?"]);
                let escape = if sign.is_empty() { "\\" } else { sign };
                let mut spelled = "U&\"".to_owned();
                for c in name.chars() {
                    match self.below(3) {
                        0 => spelled += &format!("{escape}+{:06x}", u32::from(c)),
                        1 if u32::from(c) < 0x10000 => spelled += &format!("{escape}{:04X}", u32::from(c)),
                        _ if c == '"' => spelled += "\"\"",
                        _ => spelled.push(c),
                    }
                }
                spelled.push('"');
                if !sign.is_empty() {
                    spelled += &format!("{}UESCAPE{}'{sign}'", self.space(), self.space());
                }
                spelled
            }
            3 => name.to_ascii_uppercase(),
            _ => name.to_owned(),
        }
    }

    fn relation(&mut self) -> String {
        let (schema, name) = match self.below(10) {
            0 => return "t".to_owned(),
            1 => ("public", "plain"),
            2 => ("pg_catalog", "pg_class"),
            _ => {
                self.places += 1;
                MASKED[self.below(MASKED.len())]
            }
        };
        let database =
            if self.below(6) == 0 { format!("shop{}.{}", self.space(), self.space()) } else { String::new() };
        let schema = self.name(schema);
        let (before, behind) = (self.space(), self.space());
        format!("{database}{schema}{before}.{behind}{}", self.name(name))
    }

    fn expression(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 5 } else { 10 }) {
            0 => self
                .pick(&["1", "'public.users'", "$q$ FROM public.users $q$", "$1", "x", "t.a", "é"])
                .to_owned(),
            1 | 2 => {
                let relation = self.relation();
                let column = self.pick(&[".id", ".\"É\"", " . id", ".profile[1]", ".a /* . */"]);
                format!("{relation}{column}")
            }
            3 => format!("'public.users'::regclass{}", self.space()),
            4 => format!("NULL::public.users{}", self.space()),
            5 => format!(
                "({}{}&{}{})",
                self.expression(depth - 1),
                self.space(),
                self.space(),
                self.expression(depth - 1)
            ),
            6 => format!("({}){}.{}a", self.expression(depth - 1), self.space(), self.space()),
            7 => format!("coalesce({},{})", self.expression(depth - 1), self.expression(depth - 1)),
            8 => format!("CASE WHEN {} THEN({})END", self.expression(depth - 1), self.expression(depth - 1)),
            _ => format!("EXISTS({})", self.query(depth - 1)),
        }
    }

    fn from(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 3 } else { 6 }) {
            0 => self.relation(),
            1 => format!("ONLY{}{}{}AS{}u", self.gap(), self.relation(), self.gap(), self.gap()),
            2 => format!("{}{}\"ü\"", self.relation(), self.gap()),
            3 => format!(
                "{}{}JOIN{}{} ON {}",
                self.from(depth - 1),
                self.gap(),
                self.gap(),
                self.relation(),
                self.expression(depth - 1)
            ),
            4 => format!("({}) s", self.query(depth - 1)),
            _ => format!("{},{}", self.from(depth - 1), self.from(depth - 1)),
        }
    }

    fn query(&mut self, depth: usize) -> String {
        if depth == 0 {
            return format!("TABLE{}{}", self.gap(), self.relation());
        }
        let depth = depth - 1;
        match self.below(6) {
            0 => format!(
                "WITH users AS ({}){}SELECT * FROM users, ({}) w",
                self.query(depth),
                self.space(),
                self.query(depth)
            ),
            1 => format!("({}){}UNION ALL({})", self.query(depth), self.space(), self.query(depth)),
            _ => format!(
                "SELECT{}{}{}FROM{}{} WHERE {} ORDER BY {}",
                self.gap(),
                self.expression(depth),
                self.gap(),
                self.gap(),
                self.from(depth),
                self.expression(depth),
                self.expression(depth)
            ),
        }
    }

    fn statement(&mut self) -> String {
        let depth = 1 + self.below(4);
        match self.below(12) {
            0 => format!("INSERT INTO{}{} (a) {}", self.gap(), self.relation(), self.query(depth)),
            1 => {
                let target = self.relation();
                format!(
                    "UPDATE {target} SET a={}{}WHERE {}",
                    self.expression(depth),
                    self.gap(),
                    self.expression(depth)
                )
            }
            2 => format!("DELETE FROM{}{} WHERE {}", self.gap(), self.relation(), self.expression(depth)),
            3 => format!("EXPLAIN (COSTS off){}{}", self.space(), self.query(depth)),
            4 => format!("PREPARE p AS {}", self.query(depth)),
            5 => format!("DECLARE c CURSOR FOR {}", self.query(depth)),
            6 => format!("COPY ({}) TO STDOUT", self.query(depth)),
            7 => format!("COPY{}{} TO STDOUT", self.gap(), self.relation()),
            8 => format!(
                "MERGE INTO {} m USING {} n ON {} WHEN MATCHED THEN DELETE",
                self.relation(),
                self.relation(),
                self.expression(depth)
            ),
            _ => self.query(depth),
        }
    }
}

/// The tree without its places, and with the views' schemas called as the tables'.
fn tree(text: &str, views: &Views) -> String {
    let shown = format!("{:?}", pg_query::parse(text, 0).unwrap().protobuf);
    let mut clean = String::with_capacity(shown.len());
    let mut rest = shown.as_str();
    while let Some((before, after)) = ["location: ", "stmt_len: ", "list_start: ", "list_end: "]
        .iter()
        .filter_map(|key| rest.find(key).map(|at| at + key.len()))
        .min()
        .map(|at| rest.split_at(at))
    {
        clean.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
    }
    clean.push_str(rest);
    views
        .schemas
        .iter()
        .fold(clean, |tree, (schema, view)| tree.replace(&format!("{:?}", view), &format!("{:?}", schema)))
}

/// For whatever is said and however it is spelled: each name with a view is
/// replaced, and PostgreSQL's grammar makes the same tree of the text but for them.
#[test]
fn g2_a_rewritten_statement_says_the_same() {
    let views = views();
    let mut rewrites = 0;
    for seed in 0..1000 {
        let mut texts = Texts { state: seed, places: 0 };
        let statements: Vec<String> = (0..=texts.below(2)).map(|_| texts.statement()).collect();
        let text = statements.join(texts.pick(&[";", " ; ", "/* é */;\n"]));
        let facts = match analyse(&text) {
            Ok(facts) => facts,
            Err(SqlError::TooDeep) => continue,
            Err(error) => panic!("{text}: {error}"),
        };
        let rewrite = Rewrite::of(&text, &facts, &views).unwrap_or_else(|error| panic!("{text}: {error}"));
        let Some(rewrite) = rewrite else {
            assert_eq!(texts.places, 0, "{text}");
            continue;
        };
        let new = rewrite.apply(&text);
        assert_eq!(rewrite.edits.len(), texts.places, "{text}\n{new}");
        assert_eq!(tree(&new, &views), tree(&text, &views), "{text}\n{new}");
        rewrites += 1;
        // Every place outside of what was put in leads back to the same letter.
        let (old, new): (Vec<char>, Vec<char>) = (text.chars().collect(), new.chars().collect());
        let kept = (1..=new.len()).filter(|at| old.get(rewrite.position(*at) - 1) == new.get(at - 1)).count();
        let put_in: usize = rewrite.edits.iter().map(|edit| edit.by.chars().count()).sum();
        assert!(kept >= new.len() - put_in, "{text}");
    }
    assert!(rewrites > 750, "{rewrites}");
}
