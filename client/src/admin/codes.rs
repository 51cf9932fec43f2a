//! Choices that the protocol counts.

/// An enum of the protocol, with a number for each choice. Numbers that nobody knows yet are kept.
macro_rules! codes {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$choice_doc:meta])* $choice:ident = $code:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$choice_doc])* $choice,)*
            /// One that this client does not know.
            Other(i8),
        }

        impl $name {
            pub(in crate::admin) fn to_wire(self) -> i8 {
                match self {
                    $(Self::$choice => $code,)*
                    Self::Other(code) => code,
                }
            }

            #[allow(dead_code, reason = "some choices are only asked for")]
            pub(in crate::admin) fn from_wire(code: i8) -> Self {
                match code {
                    $($code => Self::$choice,)*
                    code => Self::Other(code),
                }
            }
        }
    };
}

pub(super) use codes;
