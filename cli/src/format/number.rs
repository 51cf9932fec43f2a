//! Numbers as decimals, digits and bytes.

use std::io::Write as _;

/// How a number is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberEncoding {
    /// Decimals.
    Ascii,
    /// So many of the lowest hexadecimal digits.
    Hex(u8),
    /// So many of the lowest bytes, the highest of them first.
    Big(u8),
    /// So many of the lowest bytes, the lowest first.
    Little(u8),
    /// `true` unless it is zero.
    Bool,
}

impl NumberEncoding {
    /// The encoding of a modifier.
    pub(super) fn parse(modifier: &str) -> Option<Self> {
        Some(match modifier {
            "ascii" => Self::Ascii,
            "hex64" => Self::Hex(16),
            "hex32" => Self::Hex(8),
            "hex16" => Self::Hex(4),
            "hex8" => Self::Hex(2),
            "hex4" => Self::Hex(1),
            "big64" => Self::Big(8),
            "big32" => Self::Big(4),
            "big16" => Self::Big(2),
            "big8" | "byte" => Self::Big(1),
            "little64" => Self::Little(8),
            "little32" => Self::Little(4),
            "little16" => Self::Little(2),
            "little8" => Self::Little(1),
            "bool" => Self::Bool,
            _ => return None,
        })
    }

    /// Appends the number.
    pub(super) fn write(self, number: i64, out: &mut Vec<u8>) {
        let written = match self {
            Self::Ascii => write!(out, "{number}"),
            Self::Bool => write!(out, "{}", number != 0),
            Self::Hex(digits) => {
                let shift = 64 - 4 * u32::from(digits);
                let lowest = (number.cast_unsigned() << shift) >> shift;
                write!(out, "{lowest:0width$x}", width = usize::from(digits))
            }
            Self::Big(bytes) => {
                let all = number.to_be_bytes();
                out.write_all(all.get(8 - usize::from(bytes)..).unwrap_or_default())
            }
            Self::Little(bytes) => {
                let all = number.to_le_bytes();
                out.write_all(all.get(..usize::from(bytes)).unwrap_or_default())
            }
        };
        written.expect("writing to memory cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_cut_to_their_width() {
        let check = |modifier: &str, number: i64, expected: &[u8]| {
            let mut out = Vec::new();
            NumberEncoding::parse(modifier).unwrap().write(number, &mut out);
            assert_eq!(out, expected, "{modifier} of {number}");
        };
        check("ascii", -7, b"-7");
        check("hex64", -1, b"ffffffffffffffff");
        check("hex32", 0x1_2345_6789, b"23456789");
        check("hex8", 7, b"07");
        check("hex4", 0x1f, b"f");
        check("big64", 1, &[0, 0, 0, 0, 0, 0, 0, 1]);
        check("big32", 0x0102_0304, &[1, 2, 3, 4]);
        check("little32", 0x0102_0304, &[4, 3, 2, 1]);
        check("big16", 0x01_0203, &[2, 3]);
        check("byte", 0x102, &[2]);
        check("bool", 0, b"false");
        check("bool", 9, b"true");
        assert_eq!(NumberEncoding::parse("big24"), None);
    }
}
