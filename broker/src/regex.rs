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
    let pattern = translated(pattern);
    // By itself first: `)|(` is one only within the parentheses.
    build(&pattern)?;
    build(&format!("^(?:{pattern})$"))
}

/// As our library has it what RE2 takes: `\Q` and `\E`, between which everything is what it is; and
/// in classes a dash beside `\w` and the like, a bracket, and `&` and `~`, which are themselves.
fn translated(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let (mut rest, mut in_class) = (pattern, false);
    // Whether what stands before is no end of a range.
    let mut behind_set = false;
    while let Some(next) = rest.chars().next() {
        let (here, behind) = rest.split_at(next.len_utf8());
        let was_set = std::mem::take(&mut behind_set);
        rest = behind;
        match next {
            '\\' => {
                let letter;
                (letter, rest) = behind.split_at(behind.ceil_char_boundary(1));
                if letter == "Q" {
                    let (text, unquoted) = rest.split_once("\\E").unwrap_or((rest, ""));
                    plain.push_str(&regex_lite::escape(text));
                    rest = unquoted;
                } else {
                    plain.extend(["\\", letter]);
                    behind_set = is_set(letter);
                }
            }
            '[' if !in_class => {
                in_class = true;
                plain.push('[');
                if let Some(negated) = rest.strip_prefix('^') {
                    plain.push('^');
                    rest = negated;
                }
                // Not the end, if it stands first.
                if let Some(more) = rest.strip_prefix(']') {
                    plain.push_str("\\]");
                    rest = more;
                }
            }
            '[' if rest.starts_with(':') && rest.contains(":]") => {
                let (name, more) = rest.split_once(":]").unwrap_or((rest, ""));
                plain.extend(["[", name, ":]"]);
                rest = more;
                behind_set = true;
            }
            '-' if in_class => {
                let before_set = rest.strip_prefix('\\').is_some_and(is_set);
                plain.push_str(if was_set || before_set { "\\-" } else { "-" });
            }
            '[' | '&' | '~' if in_class => plain.push_str(&regex_lite::escape(here)),
            _ => {
                in_class &= next != ']';
                plain.push_str(here);
            }
        }
    }
    plain
}

/// Whether an escape, of which this is what follows the backslash, stands for several characters.
fn is_set(escape: &str) -> bool {
    escape.starts_with(['d', 'D', 's', 'S', 'w', 'W'])
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
        check(r"\Qa<b\E", "a<b", true);
        check(r"\\Q", r"\Q", true);
        check(r"\d+", "12", true);
    }

    #[test]
    fn classes_are_those_of_re2() {
        let check = |pattern, matching: &[&str], other: &[&str]| {
            let regex = whole(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            let wrong = matching.iter().filter(|name| !regex.is_match(name));
            let wrong = wrong.chain(other.iter().filter(|name| regex.is_match(name)));
            assert_eq!(wrong.count(), 0, "{pattern}");
        };
        check(r"[\w-.]+", &["a-b.c_1"], &["a,b", ""]);
        check(r"[.-\w]+", &["a-b.c_1"], &["a,b"]);
        check(r"[\d-_]+", &["1-2_3"], &["a"]);
        check(r"[a-c\-x]+", &["b-x"], &["d"]);
        check(r"[a[b]+", &["a[b"], &["c"]);
        check(r"[[:alpha:]-]+", &["a-b"], &["1"]);
        check(r"[]a]+", &["]a"], &["b"]);
        check(r"[^]a]+", &["b"], &["]", "a"]);
        check(r"[a&&b]+", &["a&b"], &["c"]);
        check(r"[\Qa-c\E]+", &["a-c"], &["b"]);
        check(r"\Q[a]\E-[b]", &["[a]-b"], &["a-b"]);
        check(r"\[a-c\]", &["[a-c]"], &["b"]);
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
