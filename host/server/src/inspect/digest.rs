//! The digest of a table: one number for its rows, whatever the order they come in. Defined in docs/fingerprint.md and held by a golden
//! test: it must never change, or digests that somebody has kept mean nothing.

use reel_projector::key::{encode_value, encoded};
use reel_projector::{Row, Table, Value};

/// Keeps these hashes apart from all others; the number is the version of the definition.
const CONTEXT: &str = "reel 2026-11 fingerprint of a row, version 1";

/// Adds up rows of one table.
pub(super) struct TableDigest {
    hasher: blake3::Hasher,
    /// The columns by name, each with its name encoded.
    columns: Vec<(Vec<u8>, usize)>,
    rows: u64,
    /// A number of 256 bits, the least significant digit first.
    sum: [u64; 4],
    row: Vec<u8>,
}

impl TableDigest {
    pub(super) fn new(table: &Table) -> TableDigest {
        let mut columns: Vec<(&str, usize)> =
            table.columns.iter().enumerate().map(|(place, column)| (column.name.as_str(), place)).collect();
        columns.sort_unstable();
        let columns = columns.into_iter().map(|(name, place)| (encoded(&[Value::Text(name.into())]), place)).collect();
        let hasher = blake3::Hasher::new_derive_key(CONTEXT);
        TableDigest { hasher, columns, rows: 0, sum: [0; 4], row: Vec::new() }
    }

    pub(super) fn add(&mut self, row: &Row) {
        self.row.clear();
        for (name, place) in &self.columns {
            self.row.extend_from_slice(name);
            encode_value(&row[*place], &mut self.row);
        }
        let hash = self.hasher.clone().update(&self.row).finalize();
        let mut carry = false;
        for (digit, bytes) in self.sum.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            let more = u64::from_le_bytes(bytes.try_into().expect("chunks of eight"));
            let (sum, over) = digit.overflowing_add(more);
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            (*digit, carry) = (sum, over || again);
        }
        self.rows += 1;
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// 64 hexadecimal digits: the bytes of the sum, the least significant first.
    pub(super) fn hex(&self) -> String {
        self.sum.iter().flat_map(|digit| digit.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use reel_projector::Manifest;
    use rust_decimal::Decimal;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn table(columns: &[&str]) -> Table {
        let kinds = json!({
            "id": {"name": "id", "type": "int64"},
            "name": {"name": "name", "type": "text", "length": 20, "nullable": true},
            "price": {"name": "price", "type": "decimal", "precision": 10, "scale": 2},
            "at": {"name": "at", "type": "timestamp"},
            "seal": {"name": "seal", "type": "bytes"},
            "who": {"name": "who", "type": "uuid"},
            "weight": {"name": "weight", "type": "double"}
        });
        let columns: Vec<_> = columns.iter().map(|name| kinds[*name].clone()).collect();
        let manifest = json!({
            "manifest": 1, "name": "a", "version": "1", "kinds": ["*"], "order": "global",
            "tables": [{"name": "t", "columns": columns, "key": ["id"]}]
        });
        Manifest::parse(&manifest.to_string()).unwrap().tables.remove(0)
    }

    /// Rows of the columns in order: id, name, price, at, seal, who, weight.
    fn rows() -> Vec<Row> {
        let row = |id: i64, name: Value| -> Row {
            let price = Value::Decimal(Decimal::new(-1250 * id, 2));
            let (seal, who) = (Value::Bytes([0, 255].into()), Value::Uuid(Uuid::from_u128(7)));
            [Value::Int(id), name, price, Value::Timestamp(-id), seal, who, Value::Double(0.5)].into()
        };
        let text = |text: &str| Value::Text(text.into());
        vec![row(1, text("Ann")), row(2, Value::Null), row(3, text("")), row(-4, text("Ä😀"))]
    }

    fn digest(table: &Table, rows: &[Row]) -> (u64, String) {
        let mut digest = TableDigest::new(table);
        rows.iter().for_each(|row| digest.add(row));
        (digest.rows(), digest.hex())
    }

    const COLUMNS: [&str; 7] = ["id", "name", "price", "at", "seal", "who", "weight"];

    #[test]
    fn it_never_changes() {
        let expected = "9c637b7bf899a989643f88aba4f936d65dc48a8264dcf257de9bff2e77fd7b59";
        assert_eq!(digest(&table(&COLUMNS), &rows()), (4, expected.to_owned()));
        assert_eq!(digest(&table(&COLUMNS), &[]), (0, "0".repeat(64)));
    }

    #[test]
    fn neither_the_order_of_rows_nor_that_of_columns_counts() {
        let all = digest(&table(&COLUMNS), &rows());
        let mut turned = rows();
        turned.reverse();
        assert_eq!(digest(&table(&COLUMNS), &turned), all);
        let other = ["who", "id", "seal", "weight", "at", "name", "price"];
        let places = other.map(|name| COLUMNS.iter().position(|column| *column == name).unwrap());
        let moved: Vec<Row> =
            rows().iter().map(|row| places.iter().map(|place| row[*place].clone()).collect()).collect();
        assert_eq!(digest(&table(&other), &moved), all);
    }

    #[test]
    fn every_value_and_every_row_counts() {
        let all = digest(&table(&COLUMNS), &rows()).1;
        for (number, row) in rows().iter().enumerate() {
            for place in 1..row.len() {
                let mut changed = rows();
                changed[number][place] = Value::Text("another".into());
                assert_ne!(digest(&table(&COLUMNS), &changed).1, all);
            }
            let mut fewer = rows();
            fewer.remove(number);
            assert_ne!(digest(&table(&COLUMNS), &fewer).1, all);
        }
        let twice = [rows(), rows()[..1].to_vec()].concat();
        assert_ne!(digest(&table(&COLUMNS), &twice).1, all);
    }
}
