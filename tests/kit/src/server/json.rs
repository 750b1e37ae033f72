//! JSON the way Go's `encoding/json` reads and writes it.

use serde_json::{Map, Value};

/// Text of a JSON value as Go writes it: `&`, `<`, `>`, U+2028 and U+2029 become `\uXXXX`, and numbers that are not
/// integers have an exponent only where Go writes one.
pub(crate) fn to_go_string(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, to: &mut String) {
    match value {
        Value::Object(object) => {
            let mut mark = '{';
            for (key, value) in object {
                to.push(mark);
                mark = ',';
                write_text(key, to);
                to.push(':');
                write(value, to);
            }
            to.push_str(if object.is_empty() { "{}" } else { "}" });
        }
        Value::Array(list) => {
            let mut mark = '[';
            for value in list {
                to.push(mark);
                mark = ',';
                write(value, to);
            }
            to.push_str(if list.is_empty() { "[]" } else { "]" });
        }
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(float) => to.push_str(&go_float(float)),
            None => to.push_str(&number.to_string()),
        },
        Value::Number(_) | Value::Null | Value::Bool(_) => to.push_str(&value.to_string()),
        Value::String(text) => write_text(text, to),
    }
}

fn write_text(text: &str, to: &mut String) {
    for character in Value::from(text).to_string().chars() {
        match character {
            '&' | '<' | '>' | '\u{2028}' | '\u{2029}' => to.push_str(&format!("\\u{:04x}", character as u32)),
            other => to.push(other),
        }
    }
}

/// Reads JSON; invalid UTF-8 becomes U+FFFD as in Go.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_str(&String::from_utf8_lossy(bytes)).map_err(|error| error.to_string())
}

/// The value of a key, found without regard to case; the last one when there are several.
pub(crate) fn get<'v>(object: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    object
        .iter()
        .rfind(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, value)| value)
}

/// An optional string: absent and `null` are the empty string, another type is an error, as in a Go struct.
pub(crate) fn string(object: &Map<String, Value>, key: &str) -> Result<String, String> {
    match get(object, key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!(
            "json: cannot unmarshal into Go struct field {key} of type string"
        )),
    }
}

/// A value as it is after a decoder that knows objects as maps and numbers as 64-bit floats: keys sorted, numbers
/// rounded. Whole numbers that a float holds exactly stay integers, so that they compare as such.
pub(crate) fn normal(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(normal_object(object)),
        Value::Array(list) => Value::Array(list.iter().map(normal).collect()),
        Value::Number(number) => match number.as_f64() {
            Some(float)
                if float.fract() == 0.0 && float.abs() < EXACT && !(float == 0.0 && float.is_sign_negative()) =>
            {
                Value::from(float as i64)
            }
            Some(float) => Value::from(float),
            None => value.clone(),
        },
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// From here on not every integer is a 64-bit float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// [`normal`] of an object.
pub(crate) fn normal_object(object: &Map<String, Value>) -> Map<String, Value> {
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()));
    let entries = entries.into_iter();
    entries.map(|(key, value)| (key.clone(), normal(value))).collect()
}

/// Text of a float as Go writes it: an exponent only below 1e-6 and from 1e21 on.
fn go_float(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        if text.contains("e-") {
            text
        } else {
            text.replace('e', "e+")
        }
    } else {
        format!("{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_characters_are_escaped() {
        let value = serde_json::json!({"uri": "a?b=1&c=<2>\u{2028}\"é\n"});
        assert_eq!(
            to_go_string(&value),
            "{\"uri\":\"a?b=1\\u0026c=\\u003c2\\u003e\\u2028\\\"é\\n\"}"
        );
    }

    #[test]
    fn the_normal_form_sorts_keys_and_reads_numbers_as_floats() {
        let value =
            read(br#" { "b" : [1.0, 2.50, 1e3, 1e21, 1e-7, -0.5], "a": {"z":null,"y":true}, "A":"&" } "#).unwrap();
        assert_eq!(
            to_go_string(&normal(&value)),
            r#"{"A":"\u0026","a":{"y":true,"z":null},"b":[1,2.5,1000,1e+21,1e-7,-0.5]}"#
        );
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let table = [
            ("1e16", "10000000000000000"),
            ("123456789012345678901", "123456789012345680000"),
            ("9007199254740993", "9007199254740992"),
            ("-9007199254740993", "-9007199254740992"),
            ("1e20", "100000000000000000000"),
            ("1.5e300", "1.5e+300"),
            ("0.00001", "0.00001"),
            ("0.0000001", "1e-7"),
            ("0.1", "0.1"),
            ("-0.0", "-0"),
            ("0", "0"),
            ("18446744073709551615", "18446744073709552000"),
        ];
        for (text, expected) in table {
            let value = read(text.as_bytes()).unwrap();
            assert_eq!(to_go_string(&normal(&value)), expected, "{text}");
        }
        // What the server counts itself is an integer, however large.
        assert_eq!(
            to_go_string(&serde_json::json!([u64::MAX, {}, []])),
            "[18446744073709551615,{},[]]"
        );
    }

    #[test]
    fn keys_match_without_case_and_the_last_one_wins() {
        let value = read(br#"{"Status":"a","STATUS":"b"}"#).unwrap();
        let object = value.as_object().unwrap();
        assert_eq!(string(object, "status"), Ok("b".to_owned()));
        assert_eq!(string(object, "other"), Ok(String::new()));
    }
}
