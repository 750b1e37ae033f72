//! What of a document is strict JSON.

extern crate std;

use std::string::String;

use super::*;

fn check(text: &[u8], json_depth: u8) -> Result<usize, Error> {
    let limits = Limits {
        json_depth,
        ..Limits::DEFAULT
    };
    read(Document::MetaData, &mut text.to_vec(), Records(&[]), &limits)
}

fn too_deep(allowed: u32) -> Result<usize, Error> {
    Err(Error::Limit {
        limit: Limit::JsonDepth,
        allowed,
        needed: allowed + 1,
    })
}

fn fault(text: &str) -> Option<JsonFault> {
    match check(text.as_bytes(), 8) {
        Ok(0) => None,
        Err(Error::Json { fault, .. }) => Some(fault),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn accepts_what_rfc_8259_allows() {
    for text in [
        "{}",
        " \t\r\n{ } \n",
        r#"{"a":1,"b":[],"c":[1,-0,0.5e+10,1E5,true,false,null,"x",{}],"d":{"a":{"a":1}}}"#,
        r#"{"":"","a":"\"\\\/\b\f\n\r\té😀\u0000"}"#,
        "{\"a\":\"\u{7f}ü\u{2028}\"}",
        r#"{"a":{"k":1},"b":{"k":1},"k":1}"#,
    ] {
        assert_eq!(fault(text), None, "{text}");
    }
}

#[test]
fn refuses_with_the_reason() {
    use JsonFault::*;
    for (text, expected) in [
        ("", End),
        ("  ", End),
        ("\u{feff}{}", ByteOrderMark),
        ("null", NotAnObject),
        ("[]", NotAnObject),
        ("\"\"", NotAnObject),
        ("{}{}", Trailing),
        ("{} x", Trailing),
        ("{}\0", Trailing),
        ("{", End),
        ("{\"a", End),
        ("{\"a\"", End),
        ("{\"a\":", End),
        ("{\"a\":1", End),
        ("{\"a\":tru", End),
        ("{\"a\":1,}", Unexpected),
        ("{,}", Unexpected),
        ("{\"a\" 1}", Unexpected),
        ("{a:1}", Unexpected),
        ("{\"a\":[1,]}", Unexpected),
        ("{\"a\":[,1]}", Unexpected),
        ("{\"a\":[1}", Unexpected),
        ("{\"a\":1]", Unexpected),
        ("{\"a\":nul1}", Unexpected),
        ("{\"a\":'x'}", Unexpected),
        ("{\"a\":NaN}", Unexpected),
        ("{\"a\":1 2}", Unexpected),
        ("{\"a\":\u{c}1}", Unexpected),
        ("{\"a\":01}", Number),
        ("{\"a\":-}", Number),
        ("{\"a\":1.}", Number),
        ("{\"a\":.5}", Unexpected),
        ("{\"a\":+1}", Unexpected),
        ("{\"a\":1e}", Number),
        ("{\"a\":\"\n\"}", Control),
        ("{\"a\":\"\\x\"}", Escape),
        ("{\"a\":\"\\u12g4\"}", Escape),
        ("{\"a\":\"\\ud83d\"}", Escape),
        ("{\"a\":\"\\ud83d\\u0041\"}", Escape),
        ("{\"a\":\"\\ude00\"}", Escape),
        ("{\"a\":\"\\", Escape),
        (r#"{"a":1,"b":2,"a":3}"#, RepeatedKey),
        (r#"{"a":1,"\u0061":2}"#, RepeatedKey),
        (r#"{"x":[{"a":{"b":1},"a":2}]}"#, RepeatedKey),
    ] {
        assert_eq!(fault(text), Some(expected), "{text}");
    }
    let expected = Error::Json {
        document: Document::MetaData,
        fault: Utf8,
        at: 6,
    };
    assert_eq!(check(b"{\"a\":\"\xff\"}", 8), Err(expected));
    assert_eq!(check(br#"{"a":[[[[[[[[1]]]]]]]]}"#, 8), too_deep(8));
    assert_eq!(fault(r#"{"a":[[[[[[[1]]]]]]]}"#), None, "eight levels are allowed");
}

#[test]
fn no_more_levels_than_can_be_counted() {
    let nested = |levels: usize| String::from("{\"a\":") + &"[".repeat(levels) + &"]".repeat(levels) + "}";
    assert_eq!(check(nested(63).as_bytes(), 255), Ok(0));
    assert_eq!(check(nested(64).as_bytes(), 255), too_deep(64));
}
