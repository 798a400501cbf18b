//! OpenAPI 3.1's schemas, as far as our document uses them: JSON Schema's
//! types, properties, enumerations, references and alternatives.

use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

pub struct Document {
    root: Value,
    /// The schemas of responses that no answer was compared with yet.
    unchecked: RefCell<BTreeSet<String>>,
}

impl Document {
    pub fn of(root: Value) -> Self {
        assert_eq!(root["openapi"], "3.1.0");
        let document = Self { root, unchecked: RefCell::default() };
        // The stream and the login's bodies aside, every schema is reached by an answer.
        let names = document.root["components"]["schemas"].as_object().unwrap().keys().cloned();
        document.unchecked.replace(names.filter(|name| name != "ErrorBody" && name != "ErrorKind").collect());
        document
    }

    /// Method and path of each operation, and whether anyone may call it.
    pub fn operations(&self) -> BTreeMap<(String, String), bool> {
        let mut found = BTreeMap::new();
        for (path, item) in self.root["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let open = operation["security"].as_array().is_some_and(Vec::is_empty);
                found.insert((method.clone(), path.clone()), open);
            }
        }
        found
    }

    pub fn check(&self, schema: &str, value: &Value, what: &str) {
        let reference = serde_json::json!({ "$ref": format!("#/components/schemas/{schema}") });
        self.must(&reference, value, what);
    }

    pub fn check_request(&self, method: &str, path: &str, body: &Value) {
        let operation = &self.root["paths"][path][method.to_lowercase()];
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        self.must(schema, body, &format!("the body of {method} {path}"));
    }

    pub fn check_response(&self, method: &str, path: &str, value: &Value) {
        let operation = &self.root["paths"][path][method.to_lowercase()];
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        self.must(schema, value, &format!("the answer to {method} {path}"));
    }

    pub fn unchecked(&self) -> BTreeSet<String> {
        self.unchecked.borrow().clone()
    }

    fn must(&self, schema: &Value, value: &Value, what: &str) {
        assert!(schema.is_object(), "{what}: not described");
        if let Err(problem) = self.fits(schema, value, "$") {
            panic!("{what}: {problem}\n{value:#}");
        }
    }

    fn fits(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.strip_prefix("#/components/schemas/").expect("a local schema");
            let target = &self.root["components"]["schemas"][name];
            assert!(target.is_object(), "{reference} leads nowhere");
            self.fits(target, value, at)?;
            self.unchecked.borrow_mut().remove(name);
            return Ok(());
        }
        if let Some(any) = schema["anyOf"].as_array() {
            let problems: Vec<String> = any.iter().map_while(|one| self.fits(one, value, at).err()).collect();
            return if problems.len() < any.len() { Ok(()) } else { Err(problems.join("; or ")) };
        }
        if let Some(options) = schema["enum"].as_array()
            && !options.contains(value)
        {
            return Err(format!("{at}: {value} is none of {options:?}"));
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            other => panic!("{at}: no type in the schema: {other}"),
        };
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        if !types.contains(&is) {
            return Err(format!("{at}: {value} is {is}, not {types:?}"));
        }
        match value {
            Value::Object(object) => self.fits_object(schema, object, at),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| self.fits(&schema["items"], item, &format!("{at}[{index}]"))),
            Value::String(text) if schema["format"] == "date-time" => {
                text.parse::<jiff::Timestamp>().map(drop).map_err(|error| format!("{at}: {error}"))
            }
            _ => Ok(()),
        }
    }

    fn fits_object(&self, schema: &Value, object: &Map<String, Value>, at: &str) -> Result<(), String> {
        let Some(properties) = schema["properties"].as_object() else { return Ok(()) };
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(required) {
                return Err(format!("{at}: {required} is missing"));
            }
        }
        object.iter().try_for_each(|(key, value)| match properties.get(key) {
            Some(property) => self.fits(property, value, &format!("{at}.{key}")),
            None => Err(format!("{at}: {key} is not described")),
        })
    }
}
