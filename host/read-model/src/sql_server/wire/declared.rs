//! Types as SQL declares them, and as a server describes them in COLMETADATA (MS-TDS 2.2.5.4, 2.2.7.4).

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Declared {
    Bit,
    /// Its bytes.
    Int(u8),
    Float,
    /// Digits, and how many of them behind the point.
    Decimal(u8, u8),
    /// The most UTF-16 code units; none = any number.
    Text(Option<usize>),
    /// The most bytes; none = any number.
    Bytes(Option<usize>),
    Uuid,
    Date,
    /// Digits of a second.
    Time(u8),
    /// Digits of a second.
    DateTime(u8),
}

/// A column of a table that was made.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) declared: Declared,
    pub(super) nullable: bool,
}

/// The columns that `CREATE TABLE … (…)` makes.
pub(super) fn of_table(statement: &str) -> Vec<Column> {
    let column = |(name, rest): (String, &str)| Column {
        name,
        declared: declared(rest.split(" COLLATE ").next().unwrap()),
        nullable: !rest.ends_with("NOT NULL"),
    };
    columns(statement).into_iter().map(column).collect()
}

/// The columns that `INSERT BULK … (…)` declares.
pub(super) fn of_load(statement: &str) -> Vec<(String, Declared)> {
    columns(statement).into_iter().map(|(name, rest)| (name, declared(rest))).collect()
}

/// Names and what is said of them, from the first parenthesis to the one that closes it.
fn columns(statement: &str) -> Vec<(String, &str)> {
    let begin = statement.find('(').unwrap() + 1;
    let (mut depth, mut from, mut columns) = (0, begin, Vec::new());
    for (place, letter) in statement.char_indices().skip_while(|(place, _)| *place < begin) {
        if depth == 0 && matches!(letter, ',' | ')') {
            let (name, rest) = statement[from..place].trim().split_once(' ').unwrap();
            columns.push((name.trim_matches(['[', ']']).to_owned(), rest.trim()));
            from = place + 1;
        }
        match letter {
            '(' => depth += 1,
            ')' if depth == 0 => break,
            ')' => depth -= 1,
            _ => {}
        }
    }
    columns
}

fn declared(text: &str) -> Declared {
    let text = text.trim_end_matches("NOT NULL").trim_end_matches("NULL").trim();
    let (name, arguments) = text.split_once('(').map_or((text, ""), |(name, rest)| (name, rest.trim_end_matches(')')));
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let digits = |left_out: u8| number(arguments).map_or(left_out, |digits| digits as u8);
    match name {
        "bit" => Declared::Bit,
        "smallint" => Declared::Int(2),
        "int" => Declared::Int(4),
        "bigint" => Declared::Int(8),
        "float" => Declared::Float,
        "decimal" | "numeric" => {
            let (precision, scale) = arguments.split_once(',').unwrap();
            Declared::Decimal(number(precision).unwrap() as u8, number(scale).unwrap() as u8)
        }
        "nvarchar" => Declared::Text(number(arguments)),
        "varbinary" => Declared::Bytes(number(arguments)),
        "uniqueidentifier" => Declared::Uuid,
        "date" => Declared::Date,
        "time" => Declared::Time(digits(7)),
        "datetime2" => Declared::DateTime(digits(7)),
        other => panic!("{other} is no type of ours"),
    }
}

/// The COLMETADATA of a table.
pub(super) fn described(columns: &[Column]) -> Vec<u8> {
    let mut bytes = vec![0x81];
    bytes.extend((columns.len() as u16).to_le_bytes());
    for column in columns {
        bytes.extend(0_u32.to_le_bytes());
        // fUpdateable, and fNullable where it may be NULL.
        bytes.extend((0x08_u16 | u16::from(column.nullable)).to_le_bytes());
        bytes.extend(type_info(column));
        bytes.push(column.name.encode_utf16().count() as u8);
        bytes.extend(column.name.encode_utf16().flat_map(u16::to_le_bytes));
    }
    bytes
}

fn type_info(column: &Column) -> Vec<u8> {
    let long = |kind: u8, bytes: Option<usize>| {
        let [low, high] = bytes.map_or(0xffff, |bytes| bytes as u16).to_le_bytes();
        vec![kind, low, high]
    };
    match (column.declared, column.nullable) {
        (Declared::Bit, false) => vec![0x32],
        (Declared::Bit, true) => vec![0x68, 1],
        (Declared::Int(2), false) => vec![0x34],
        (Declared::Int(4), false) => vec![0x38],
        (Declared::Int(_), false) => vec![0x7f],
        (Declared::Int(bytes), true) => vec![0x26, bytes],
        (Declared::Float, false) => vec![0x3e],
        (Declared::Float, true) => vec![0x6d, 8],
        (Declared::Decimal(precision, scale), _) => {
            let bytes = if precision <= 9 { 5 } else { 9 };
            vec![0x6a, bytes, precision, scale]
        }
        (Declared::Text(most), _) => {
            let mut info = long(0xe7, most.map(|most| 2 * most));
            info.extend([0x09, 0x04, 0xd0, 0x00, 0x00]);
            info
        }
        (Declared::Bytes(most), _) => long(0xa5, most),
        (Declared::Uuid, _) => vec![0x24, 16],
        (Declared::Date, _) => vec![0x28],
        (Declared::Time(digits), _) => vec![0x29, digits],
        (Declared::DateTime(digits), _) => vec![0x2a, digits],
    }
}
