//! Checks a value against a JSON Schema. Supports the keywords of `docs/records.schema.json` and
//! panics on any other, so that a new keyword cannot go unchecked.

use serde_json::Value;

/// Why `value` does not fit `schema`, or `Ok`. `root` is the whole schema file, for references.
pub(crate) fn check(value: &Value, schema: &Value, root: &Value) -> Result<(), String> {
    for (keyword, want) in schema.as_object().expect("a schema is an object") {
        let fits = match keyword.as_str() {
            "$schema" | "$defs" | "title" => true,
            "$ref" => {
                let path = want.as_str().expect("a reference").trim_start_matches('#');
                check(value, root.pointer(path).expect("the reference leads somewhere"), root)?;
                true
            }
            "oneOf" => {
                let fitting = list(want).iter().filter(|s| check(value, s, root).is_ok()).count();
                fitting == 1
            }
            "type" => match want {
                Value::Array(types) => types.iter().any(|t| is(value, t)),
                one => is(value, one),
            },
            "const" => value == want,
            "enum" => list(want).contains(value),
            "minimum" => value.as_f64().is_none_or(|v| v >= number(want)),
            "maximum" => value.as_f64().is_none_or(|v| v <= number(want)),
            "minItems" => value.as_array().is_none_or(|v| v.len() as f64 >= number(want)),
            "maxItems" => value.as_array().is_none_or(|v| v.len() as f64 <= number(want)),
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    check(item, want, root)?;
                }
                true
            }
            "required" => {
                list(want).iter().all(|k| value.get(k.as_str().expect("a key")).is_some())
            }
            "properties" => {
                for (key, part) in want.as_object().expect("properties") {
                    if let Some(v) = value.get(key) {
                        check(v, part, root).map_err(|e| format!("{key}: {e}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(*want, Value::Bool(false), "only `false` is understood");
                let known = schema["properties"].as_object().expect("properties");
                value.as_object().is_none_or(|o| o.keys().all(|k| known.contains_key(k)))
            }
            other => panic!("the checker does not know the keyword {other}"),
        };
        if !fits {
            return Err(format!("{value} does not fit {keyword} {want}"));
        }
    }
    Ok(())
}

fn list(v: &Value) -> &[Value] {
    v.as_array().expect("a list")
}

fn number(v: &Value) -> f64 {
    v.as_f64().expect("a number")
}

fn is(value: &Value, kind: &Value) -> bool {
    match kind.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the checker does not know the type {other}"),
    }
}
