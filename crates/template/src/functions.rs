//! The functions templates can call, and what each dialect calls them.

/// Everything that can be computed from values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    And,
    Or,
    Not,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    Choose,
    Defined,
    IncludeZero,
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Negate,
    Concat,
    Len,
    Index,
    Slice,
    Print,
    Println,
    Printf,
    Escape,
    Safe,
    Default,
    Join,
    Upper,
    Lower,
    Title,
    Capitalize,
    Trim,
    Replace,
    Truncate,
    Round,
    RoundPython,
    Int,
    Float,
    Abs,
    Text,
    First,
    Last,
    ToJson,
    Duration,
    Grouped,
    Bytes,
    Time,
    UrlEncode,
    Items,
    Keys,
    Values,
    Split,
    StartsWith,
    EndsWith,
    IsNone,
    IsNumber,
    IsString,
    IsEven,
    IsOdd,
}

type Names = &'static [(&'static str, Function)];

/// Functions with the same name and order of arguments everywhere.
const COMMON: Names = &[
    ("upper", Function::Upper),
    ("lower", Function::Lower),
    ("title", Function::Title),
    ("capitalize", Function::Capitalize),
    ("trim", Function::Trim),
    ("default", Function::Default),
    ("join", Function::Join),
    ("replace", Function::Replace),
    ("truncate", Function::Truncate),
    ("int", Function::Int),
    ("float", Function::Float),
    ("abs", Function::Abs),
    ("first", Function::First),
    ("last", Function::Last),
    ("duration", Function::Duration),
    ("number", Function::Grouped),
    ("bytes", Function::Bytes),
    ("time", Function::Time),
    ("urlencode", Function::UrlEncode),
];

/// Functions that Go and Handlebars share.
const SHARED: Names = &[
    ("and", Function::And),
    ("or", Function::Or),
    ("not", Function::Not),
    ("eq", Function::Eq),
    ("ne", Function::Ne),
    ("lt", Function::Lt),
    ("gt", Function::Gt),
    ("len", Function::Len),
    ("slice", Function::Slice),
    ("print", Function::Print),
    ("printf", Function::Printf),
    ("html", Function::Escape),
    ("round", Function::Round),
    ("toJson", Function::ToJson),
];

const GO: Names = &[
    ("le", Function::Le),
    ("ge", Function::Ge),
    ("index", Function::Index),
    ("println", Function::Println),
    ("urlquery", Function::UrlEncode),
];

const HANDLEBARS: Names = &[
    ("lte", Function::Le),
    ("gte", Function::Ge),
    ("lookup", Function::Index),
    ("format", Function::Printf),
    ("concat", Function::Concat),
];

const JINJA_FILTERS: Names = &[
    ("round", Function::RoundPython),
    ("format", Function::Printf),
    ("length", Function::Len),
    ("count", Function::Len),
    ("len", Function::Len),
    ("tojson", Function::ToJson),
    ("e", Function::Escape),
    ("escape", Function::Escape),
    ("safe", Function::Safe),
    ("string", Function::Text),
    ("d", Function::Default),
    ("printf", Function::Printf),
    ("items", Function::Items),
];

const JINJA_METHODS: Names = &[
    ("items", Function::Items),
    ("keys", Function::Keys),
    ("values", Function::Values),
    ("get", Function::Index),
    ("upper", Function::Upper),
    ("lower", Function::Lower),
    ("title", Function::Title),
    ("capitalize", Function::Capitalize),
    ("strip", Function::Trim),
    ("replace", Function::Replace),
    ("split", Function::Split),
    ("startswith", Function::StartsWith),
    ("endswith", Function::EndsWith),
];

const JINJA_TESTS: Names = &[
    ("defined", Function::Defined),
    ("none", Function::IsNone),
    ("number", Function::IsNumber),
    ("string", Function::IsString),
    ("even", Function::IsEven),
    ("odd", Function::IsOdd),
    ("eq", Function::Eq),
    ("equalto", Function::Eq),
    ("ne", Function::Ne),
    ("lt", Function::Lt),
    ("le", Function::Le),
    ("gt", Function::Gt),
    ("ge", Function::Ge),
    ("in", Function::In),
];

/// A set of names to look functions up in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// What the names stand for, for error messages.
    pub(crate) what: &'static str,
    lists: &'static [Names],
}

pub(crate) const GO_FUNCTIONS: Table = Table {
    what: "function",
    lists: &[GO, SHARED, COMMON],
};
pub(crate) const HANDLEBARS_HELPERS: Table = Table {
    what: "helper",
    lists: &[HANDLEBARS, SHARED, COMMON],
};
pub(crate) const FILTERS: Table = Table {
    what: "filter",
    lists: &[JINJA_FILTERS, COMMON],
};
pub(crate) const METHODS: Table = Table {
    what: "method",
    lists: &[JINJA_METHODS],
};
pub(crate) const TESTS: Table = Table {
    what: "test",
    lists: &[JINJA_TESTS],
};

impl Table {
    pub(crate) fn find(self, name: &str) -> Option<Function> {
        let mut all = self.lists.iter().flat_map(|list| list.iter());
        all.find(|(known, _)| *known == name).map(|(_, f)| *f)
    }

    pub(crate) fn unknown(self, name: &str) -> crate::Problem {
        let mut known: Vec<_> = self
            .lists
            .iter()
            .flat_map(|l| l.iter().map(|n| n.0))
            .collect();
        known.sort_unstable();
        crate::Problem::Unknown {
            what: self.what,
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}

impl Function {
    /// Smallest and largest number of arguments.
    pub(crate) fn arity(self) -> (usize, usize) {
        use Function as F;
        match self {
            F::Print | F::Println | F::Concat => (0, usize::MAX),
            F::And | F::Or | F::Printf | F::Index => (1, usize::MAX),
            F::Eq => (2, usize::MAX),
            F::Choose | F::Replace => (3, 3),
            F::Slice | F::Default | F::RoundPython | F::Time => (1, 3),
            F::Truncate => (1, 5),
            F::Round
            | F::Join
            | F::Int
            | F::Float
            | F::ToJson
            | F::Split
            | F::Trim
            | F::Grouped => (1, 2),
            F::Ne
            | F::Lt
            | F::Le
            | F::Gt
            | F::Ge
            | F::In
            | F::StartsWith
            | F::EndsWith
            | F::Add
            | F::Subtract
            | F::Multiply
            | F::Divide
            | F::FloorDivide
            | F::Modulo
            | F::IncludeZero => (2, 2),
            _ => (1, 1),
        }
    }

    /// Names of the arguments behind the first, as Jinja knows them.
    pub(crate) fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::RoundPython => &["precision", "method"],
            Self::Default => &["default_value", "boolean"],
            Self::Truncate => &["length", "killwords", "end", "leeway"],
            Self::Join => &["d"],
            Self::Replace => &["old", "new"],
            Self::Int | Self::Float => &["default"],
            Self::Grouped => &["precision"],
            Self::Time => &["offset", "format"],
            _ => &[],
        }
    }

    /// In Go, a function that is not built in and whose subject stands last, as in Sprig.
    pub(crate) fn subject_last_in_go(self) -> bool {
        use Function as F;
        matches!(self, F::Default | F::Join | F::Replace | F::Truncate)
    }

    /// One of Go's own functions: a piped value is simply their last argument.
    pub(crate) fn built_into_go(self) -> bool {
        use Function as F;
        matches!(
            self,
            F::And
                | F::Or
                | F::Not
                | F::Eq
                | F::Ne
                | F::Lt
                | F::Le
                | F::Gt
                | F::Ge
                | F::Len
                | F::Index
                | F::Slice
                | F::Print
                | F::Println
                | F::Printf
                | F::Escape
                | F::UrlEncode
        )
    }

    /// A missing argument is worth a warning here, though the result is a text.
    pub(crate) fn writes_arguments(self) -> bool {
        use Function as F;
        matches!(
            self,
            F::Print | F::Println | F::Printf | F::Concat | F::Join | F::Modulo
        )
    }
}
