//! Rows of a build as bytes: what a pass over history leaves in a file until the rows are loaded. Read by the process that wrote them, or by the
//! next one where that was killed: the form may change at any time, by another [`FORM`]. Not here: files (`host/server`).
//!
//! A record is its length and the content: a row with its key as it is packed; of a row that other shards change too its key, encoded and as
//! values, and the steps.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::io::{self, Read, Write};

use rust_decimal::Decimal;
use uuid::Uuid;

use super::packed::Layout;
use super::table::{Content, OpenRow};
use crate::change::KeyValues;
use crate::step::{Events, Step, Sum};
use crate::value::Value;

/// Which form these bytes have: raised with every change of it, so that nobody reads another one.
pub const FORM: u32 = 2;

/// Which kind of content follows.
const ROW: u8 = 0;
const OPEN: u8 = 1;
/// Which kind of step.
const SUM: u8 = 0;
const LEAST: u8 = 1;
const MOST: u8 = 2;

/// Writes records for as long as there is a next one; how many.
pub(super) fn write_all<C: Borrow<Content>>(
    mut next: impl FnMut() -> io::Result<Option<C>>,
    into: &mut impl Write,
) -> io::Result<usize> {
    let (mut writer, mut records) = (Writer::default(), 0);
    while let Some(content) = next()? {
        writer.write(content.borrow(), into)?;
        records += 1;
    }
    Ok(records)
}

/// Writes records, each from the same piece of memory.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn write(&mut self, content: &Content, into: &mut impl Write) -> io::Result<()> {
        let bytes = &mut self.bytes;
        bytes.clear();
        match content {
            Content::Row(row) => {
                bytes.push(ROW);
                bytes.extend_from_slice(row.bytes());
            }
            Content::Open(open) => {
                bytes.push(OPEN);
                put_length(open.key.len(), bytes);
                bytes.extend_from_slice(&open.key);
                put_values(&open.values, bytes);
                put_length(open.steps.len(), bytes);
                open.steps.iter().for_each(|step| put_step(step, bytes));
            }
        }
        into.write_all(&(bytes.len() as u32).to_le_bytes())?;
        into.write_all(bytes)
    }
}

fn put_length(length: usize, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&u32::try_from(length).expect("a row is far below 4 GiB").to_le_bytes());
}

fn put_values(values: &[Value], bytes: &mut Vec<u8>) {
    put_length(values.len(), bytes);
    values.iter().for_each(|value| put_value(value, bytes));
}

fn put_step(step: &Step, bytes: &mut Vec<u8>) {
    match step {
        Step::Sum { sums, .. } => {
            bytes.push(SUM);
            put_length(sums.len(), bytes);
            for sum in sums {
                bytes.extend_from_slice(&sum.column.to_le_bytes());
                sum.amounts().iter().for_each(|amount| bytes.extend_from_slice(&amount.to_le_bytes()));
            }
        }
        Step::Extreme { cells, keep, .. } => {
            bytes.push(if *keep == Ordering::Less { LEAST } else { MOST });
            put_length(cells.len(), bytes);
            for (column, value) in cells {
                bytes.extend_from_slice(&column.to_le_bytes());
                put_value(value, bytes);
            }
        }
        other => unreachable!("only what commutes is left open, not {other:?}"),
    }
}

fn put_value(value: &Value, bytes: &mut Vec<u8>) {
    let mut put = |tag: u8, content: &[u8]| {
        bytes.push(tag);
        bytes.extend_from_slice(content);
    };
    match value {
        Value::Null => put(0, &[]),
        Value::Boolean(value) => put(1, &[u8::from(*value)]),
        Value::Int(value) => put(2, &value.to_le_bytes()),
        Value::Double(value) => put(3, &value.to_le_bytes()),
        Value::Decimal(value) => put(4, &value.serialize()),
        Value::Uuid(value) => put(8, value.as_bytes()),
        Value::Date(value) => put(9, &value.to_le_bytes()),
        Value::Time(value) => put(10, &value.to_le_bytes()),
        Value::Timestamp(value) => put(11, &value.to_le_bytes()),
        Value::Text(text) => put_text(5, text.as_bytes(), bytes),
        Value::Bytes(value) => put_text(6, value, bytes),
        Value::Json(text) => put_text(7, text.as_bytes(), bytes),
    }
}

fn put_text(tag: u8, content: &[u8], bytes: &mut Vec<u8>) {
    bytes.push(tag);
    put_length(content.len(), bytes);
    bytes.extend_from_slice(content);
}

/// Reads the next record, a row of that layout; nothing behind the last.
///
/// # Errors
/// Where the bytes end early, or are none that [`write_all`] wrote.
pub(super) fn read(from: &mut impl Read, layout: &Layout, record: &mut Vec<u8>) -> io::Result<Option<Content>> {
    let mut length = [0; 4];
    if from.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    record.resize(u32::from_le_bytes(length) as usize, 0);
    from.read_exact(record)?;
    let mut rest = Rest(record);
    Ok(Some(match rest.byte()? {
        ROW => Content::Row(layout.restore(rest.0).ok_or_else(broken)?),
        OPEN => Content::Open(Box::new(rest.open()?)),
        _ => return Err(broken()),
    }))
}

/// What is left of a record.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(broken)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| broken())
    }

    fn byte(&mut self) -> io::Result<u8> {
        self.array().map(|[byte]| byte)
    }

    fn length(&mut self) -> io::Result<usize> {
        self.array().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    fn column(&mut self) -> io::Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn many<T>(&mut self, one: impl Fn(&mut Self) -> io::Result<T>) -> io::Result<Vec<T>> {
        let length = self.length()?;
        (0..length).map(|_| one(self)).collect()
    }

    fn values(&mut self) -> io::Result<KeyValues> {
        self.many(Rest::value).map(KeyValues::from)
    }

    fn open(&mut self) -> io::Result<OpenRow> {
        let length = self.length()?;
        let key = self.take(length)?.into();
        Ok(OpenRow { key, values: self.values()?, steps: self.many(Rest::step)? })
    }

    fn step(&mut self) -> io::Result<Step> {
        let keep = match self.byte()? {
            SUM => {
                let sums = self.many(|rest| {
                    let column = rest.column()?;
                    let mut amount = || rest.array().map(i128::from_le_bytes);
                    Ok(Sum::from_amounts(column, [amount()?, amount()?, amount()?]))
                })?;
                return Ok(Step::Sum { events: Events::Several, sums: sums.into() });
            }
            LEAST => Ordering::Less,
            MOST => Ordering::Greater,
            _ => return Err(broken()),
        };
        let cells = self.many(|rest| Ok((rest.column()?, rest.value()?)))?;
        // Which event it was is not known any more; where one is at fault, one worker finds it.
        Ok(Step::Extreme { event: 0, cells: cells.into(), keep })
    }

    fn text(&mut self) -> io::Result<Box<str>> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map(Box::from).map_err(|_| broken())
    }

    fn value(&mut self) -> io::Result<Value> {
        Ok(match self.byte()? {
            0 => Value::Null,
            1 => Value::Boolean(self.byte()? != 0),
            2 => Value::Int(i64::from_le_bytes(self.array()?)),
            3 => Value::Double(f64::from_le_bytes(self.array()?)),
            4 => Value::Decimal(Decimal::deserialize(self.array()?)),
            5 => Value::Text(self.text()?),
            6 => {
                let length = self.length()?;
                Value::Bytes(self.take(length)?.into())
            }
            7 => Value::Json(self.text()?),
            8 => Value::Uuid(Uuid::from_bytes(self.array()?)),
            9 => Value::Date(i32::from_le_bytes(self.array()?)),
            10 => Value::Time(i64::from_le_bytes(self.array()?)),
            11 => Value::Timestamp(i64::from_le_bytes(self.array()?)),
            _ => return Err(broken()),
        })
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "rows that were put aside do not come back as they were written")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bulk::every_type;
    use crate::value::Taken;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(Value::Double),
            (-999_999_999_999_999_999..=999_999_999_999_999_999_i64, 0..18_u32)
                .prop_map(|(mantissa, scale)| Value::Decimal(Decimal::new(mantissa, scale))),
            any::<String>().prop_map(|text| Value::Text(text.into())),
            any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
            any::<String>().prop_map(|text| Value::Json(text.into())),
            any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(Uuid::from_bytes(bytes))),
            any::<i32>().prop_map(Value::Date),
            any::<i64>().prop_map(Value::Time),
            any::<i64>().prop_map(Value::Timestamp),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        let sums = prop::collection::vec((any::<u16>(), any::<[i128; 3]>()), 0..3).prop_map(|sums| {
            let sums = sums.into_iter().map(|(column, amounts)| Sum::from_amounts(column, amounts));
            Step::Sum { events: Events::Several, sums: sums.collect() }
        });
        let keep = prop_oneof![Just(Ordering::Less), Just(Ordering::Greater)];
        let extremes = (prop::collection::vec((any::<u16>(), value()), 0..3), keep)
            .prop_map(|(cells, keep)| Step::Extreme { event: 0, cells: cells.into(), keep });
        prop_oneof![sums, extremes]
    }

    fn content() -> impl Strategy<Value = Content> {
        let packed = every_type::row().prop_map(|row| {
            let values: Vec<_> = row.iter().map(Taken::from).collect();
            Content::Row(layout().pack(&every_type::key(&every_type::table(), &row), &values))
        });
        let key = prop::collection::vec(value(), 0..5).prop_map(KeyValues::from);
        let open = (any::<Vec<u8>>(), key, prop::collection::vec(step(), 0..4))
            .prop_map(|(key, values, steps)| Content::Open(Box::new(OpenRow { key: key.into(), values, steps })));
        prop_oneof![packed, open]
    }

    fn layout() -> Layout {
        Layout::of(&every_type::table())
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(records in prop::collection::vec(content(), 0..6)) {
            let (layout, mut bytes, mut next) = (layout(), Vec::new(), records.iter());
            let written = write_all(|| Ok(next.next()), &mut bytes).unwrap();
            prop_assert_eq!(written, records.len());
            let (mut from, mut record) = (&bytes[..], Vec::new());
            for content in &records {
                prop_assert_eq!(&read(&mut from, &layout, &mut record).unwrap().unwrap(), content);
            }
            prop_assert!(read(&mut from, &layout, &mut record).unwrap().is_none());
            let mut cut = &bytes[..bytes.len().saturating_sub(1)];
            let mut read_all = || -> io::Result<()> {
                while read(&mut cut, &layout, &mut record)?.is_some() {}
                Ok(())
            };
            prop_assert_eq!(read_all().is_err(), !bytes.is_empty(), "an early end is an error");
        }
    }
}
