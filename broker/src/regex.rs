//! Regular expressions that clients and settings name, as RE2 has them: without look-around or
//! back-references, so that matching takes no longer than the text and the pattern are. Names are
//! ASCII, and so are the classes.

use regex_lite::{Error, Regex, RegexBuilder};

/// So many bytes a pattern may take when it is compiled: the more it has, the longer it takes to
/// match a name.
const COMPILED_BYTES_MAX: usize = 64 << 10;

/// Reads a pattern, which is to match whole names.
///
/// # Errors
/// It is no regular expression, or one that is too large.
pub(crate) fn whole(pattern: &str) -> Result<Regex, Error> {
    let build = |text: &str| RegexBuilder::new(text).size_limit(COMPILED_BYTES_MAX).build();
    let pattern = unquoted(pattern);
    // By itself first: `)|(` is one only within the parentheses.
    build(&pattern)?;
    build(&format!("^(?:{pattern})$"))
}

/// Without `\Q` and `\E`, between which RE2 takes everything for what it is.
fn unquoted(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, escaped)) = rest.split_once('\\') {
        plain.push_str(before);
        if let Some(quoted) = escaped.strip_prefix('Q') {
            let (text, behind) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            plain.push_str(&regex_lite::escape(text));
            rest = behind;
        } else {
            let (letter, behind) = escaped.split_at(escaped.ceil_char_boundary(1));
            plain.push('\\');
            plain.push_str(letter);
            rest = behind;
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_are_matched() {
        let check = |pattern, name, expected| {
            let is_match = whole(pattern).unwrap().is_match(name);
            assert_eq!(is_match, expected, "{pattern} {name}");
        };
        check("order", "order", true);
        check("order", "orders", false);
        check("order|bill", "bill", true);
        check("order|bill", "bills", false);
        check("(?i)ORDER.*", "orders", true);
        check(r"\Qa.b\E.*", "a.b-1", true);
        check(r"\Qa.b\E.*", "a-b-1", false);
        check(r"\Qa.b", "a.b", true);
        check(r"\\Q", r"\Q", true);
        check(r"\d+", "12", true);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["(", ")|(", "a{2", "(?<=a)b", r"(a)\1", "\\"] {
            assert!(whole(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_takes_too_long_to_match_is_refused() {
        let names = |count| (0..count).map(|at| format!("orders-{at}")).collect::<Vec<_>>();
        assert!(whole(&names(100).join("|")).is_ok());
        for pattern in [names(1000).join("|"), "(a?){1000}".into(), "((a{9}){99}){999}".into()] {
            assert!(whole(&pattern).is_err(), "{pattern}");
        }
    }
}
