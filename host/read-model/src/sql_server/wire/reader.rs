//! The rows of a bulk load (MS-TDS 2.2.6.1): COLMETADATA, ROW for each of them, DONE. Written from the specification alone: nothing of the
//! driver that wrote the bytes is used to read them.

use reel_projector::{ColumnType, Row, Value};
use rust_decimal::Decimal;
use time::{Date, Month};
use uuid::Uuid;

use super::declared::Declared;

/// How the values of a column are written.
#[derive(Debug, Clone, Copy)]
struct Format {
    declared: Declared,
    /// Without a length before it.
    is_fixed: bool,
}

/// The types of a load's columns.
pub(super) fn types(bytes: &[u8]) -> Vec<Declared> {
    Reader(bytes).formats().iter().map(|format| format.declared).collect()
}

/// The rows of a load into columns of these kinds. Nothing may be left behind them.
pub(super) fn rows(bytes: &[u8], kinds: &[ColumnType]) -> Vec<Row> {
    let mut reader = Reader(bytes);
    let formats = reader.formats();
    let mut rows = Vec::new();
    loop {
        match reader.byte() {
            0xd1 => rows.push(formats.iter().zip(kinds).map(|(format, kind)| reader.value(*format, *kind)).collect()),
            0xfd => {
                // Status, command, and how many: the client leaves them empty.
                reader.take(12);
                assert!(reader.0.is_empty(), "{} bytes behind the end", reader.0.len());
                return rows;
            }
            other => panic!("token {other:#x} after {} rows", rows.len()),
        }
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, bytes: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    /// An unsigned number, its least byte first.
    fn number(&mut self, bytes: usize) -> u64 {
        self.take(bytes).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn formats(&mut self) -> Vec<Format> {
        assert_eq!(self.byte(), 0x81, "COLMETADATA comes first");
        let columns = self.number(2);
        let format = |_| {
            self.take(6);
            let format = self.format();
            let name = 2 * usize::from(self.byte());
            self.take(name);
            format
        };
        (0..columns).map(format).collect()
    }

    fn format(&mut self) -> Format {
        let fixed = |declared| Format { declared, is_fixed: true };
        let declared = match self.byte() {
            0x32 => return fixed(Declared::Bit),
            0x34 => return fixed(Declared::Int(2)),
            0x38 => return fixed(Declared::Int(4)),
            0x7f => return fixed(Declared::Int(8)),
            0x3e => return fixed(Declared::Float),
            0x68 => self.sized(Declared::Bit, 1),
            0x26 => Declared::Int(self.byte()),
            0x6d => self.sized(Declared::Float, 8),
            0x6a | 0x6c => {
                let [bytes, precision, scale] = [self.byte(), self.byte(), self.byte()];
                assert_eq!(bytes, if precision <= 9 { 5 } else { 9 });
                Declared::Decimal(precision, scale)
            }
            0xe7 => {
                let most = self.number(2);
                self.take(5);
                Declared::Text((most != 0xffff).then_some(most as usize / 2))
            }
            0xa5 => {
                let most = self.number(2);
                Declared::Bytes((most != 0xffff).then_some(most as usize))
            }
            0x24 => self.sized(Declared::Uuid, 16),
            0x28 => Declared::Date,
            0x29 => Declared::Time(self.byte()),
            0x2a => Declared::DateTime(self.byte()),
            other => panic!("type {other:#x}"),
        };
        Format { declared, is_fixed: false }
    }

    fn sized(&mut self, declared: Declared, bytes: u8) -> Declared {
        assert_eq!(self.byte(), bytes, "{declared:?}");
        declared
    }

    fn value(&mut self, format: Format, kind: ColumnType) -> Value {
        match format.declared {
            Declared::Text(most) => self.bytes(most.is_some()).map_or(Value::Null, |bytes| text(&bytes, kind)),
            Declared::Bytes(most) => self.bytes(most.is_some()).map_or(Value::Null, |bytes| Value::Bytes(bytes.into())),
            declared => {
                let bytes = if format.is_fixed { width(declared) } else { self.byte() };
                if bytes == 0 { Value::Null } else { short(self.take(bytes.into()), declared) }
            }
        }
    }

    /// What is as long as it says (USHORTCHARBIN), or comes in pieces (PLP).
    fn bytes(&mut self, is_short: bool) -> Option<Vec<u8>> {
        if is_short {
            let length = self.number(2);
            return (length != 0xffff).then(|| self.take(length as usize).to_vec());
        }
        let length = self.number(8);
        if length == u64::MAX {
            return None;
        }
        let mut bytes = Vec::new();
        loop {
            match self.number(4) as usize {
                0 => break,
                piece => bytes.extend(self.take(piece)),
            }
        }
        assert!(length == u64::MAX - 1 || length == bytes.len() as u64, "{length} bytes, and not {}", bytes.len());
        Some(bytes)
    }
}

fn width(fixed: Declared) -> u8 {
    match fixed {
        Declared::Bit => 1,
        Declared::Int(bytes) => bytes,
        _ => 8,
    }
}

fn text(bytes: &[u8], kind: ColumnType) -> Value {
    let units: Vec<u16> = bytes.chunks(2).map(|unit| u16::from_le_bytes(unit.try_into().unwrap())).collect();
    let text = String::from_utf16(&units).unwrap().into();
    if kind == ColumnType::Json { Value::Json(text) } else { Value::Text(text) }
}

fn short(bytes: &[u8], declared: Declared) -> Value {
    let number = |bytes: &[u8]| Reader(bytes).number(bytes.len());
    match declared {
        Declared::Bit => Value::Boolean(bytes == [1]),
        Declared::Int(width) => {
            assert_eq!(bytes.len(), usize::from(width));
            let unused = 64 - 8 * u32::from(width);
            Value::Int((number(bytes) << unused) as i64 >> unused)
        }
        Declared::Float => Value::Double(f64::from_bits(number(bytes))),
        Declared::Decimal(_, scale) => {
            assert!(matches!(bytes.len(), 5 | 9), "a decimal of {} bytes", bytes.len());
            let amount = i128::from(number(&bytes[1..]));
            Value::Decimal(Decimal::from_i128_with_scale(if bytes[0] == 1 { amount } else { -amount }, scale.into()))
        }
        Declared::Uuid => Value::Uuid(Uuid::from_bytes_le(bytes.try_into().unwrap())),
        Declared::Date => Value::Date(day(bytes)),
        Declared::Time(digits) => Value::Time(micros(bytes, digits)),
        Declared::DateTime(digits) => {
            let (clock, date) = bytes.split_at(bytes.len() - 3);
            Value::Timestamp(i64::from(day(date)) * 86_400_000_000 + micros(clock, digits))
        }
        Declared::Text(_) | Declared::Bytes(_) => unreachable!("longer than short"),
    }
}

/// Days since 1970-01-01 of a day counted from 0001-01-01.
fn day(bytes: &[u8]) -> i32 {
    let first = Date::from_calendar_date(1, Month::January, 1).unwrap().to_julian_day();
    let epoch = Date::from_calendar_date(1970, Month::January, 1).unwrap().to_julian_day();
    Reader(bytes).number(3) as i32 + first - epoch
}

/// Microseconds since midnight, of so many digits of a second. How many bytes there are is said by the digits.
fn micros(bytes: &[u8], digits: u8) -> i64 {
    let width = match digits {
        0..=2 => 3,
        3 | 4 => 4,
        _ => 5,
    };
    assert_eq!(bytes.len(), width, "a time of {digits} digits");
    let units = u128::from(Reader(bytes).number(width));
    let micros = units * 1_000_000 / 10_u128.pow(digits.into());
    assert!(micros < 86_400_000_000, "{micros} microseconds are more than a day has");
    i64::try_from(micros).unwrap()
}
