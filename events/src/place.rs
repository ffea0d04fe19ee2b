//! Where an event stands among all that a host reads, in one number: its position, and its partition where positions are those of a
//! partition only, as in a foreign topic. What must name one event of many partitions (a dead letter, an operator's decision) is
//! kept by it.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

/// A position of Reel's own log (`4711`), or a partition and a position in it (`3:4711`). In order of the partitions, then of the positions;
/// what is of Reel's own log comes before all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Place(u64);

/// A text that is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} must be a position, such as 4711, or a partition and a position, such as 3:4711")]
pub struct PlaceError(pub String);

/// Below it is the position, above it the partition + 1.
const POSITION_BITS: u32 = 48;

impl Place {
    /// Before every event.
    pub const START: Place = Place(0);
    /// The greatest position that has a place.
    pub const MAX_POSITION: u64 = (1 << POSITION_BITS) - 1;
    /// The greatest partition that has places: as numbers they stay below 2⁶³, because databases have no more.
    pub const MAX_PARTITION: u32 = (1 << 15) - 2;

    /// The place of a position of Reel's own log; nothing where it is beyond [`Place::MAX_POSITION`].
    #[must_use]
    pub fn global(position: u64) -> Option<Place> {
        (position <= Place::MAX_POSITION).then_some(Place(position))
    }

    /// The place of a position in a partition; nothing where one of the two is beyond the greatest.
    #[must_use]
    pub fn in_partition(partition: u32, position: u64) -> Option<Place> {
        let fits = partition <= Place::MAX_PARTITION && position <= Place::MAX_POSITION;
        fits.then(|| Place((u64::from(partition) + 1) << POSITION_BITS | position))
    }

    /// The last place in front of this one.
    #[must_use]
    pub fn before(self) -> Place {
        Place(self.0.saturating_sub(1))
    }

    /// The place as the number that catalogs keep.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// What [`Place::number`] gave.
    #[must_use]
    pub fn from_number(number: u64) -> Place {
        Place(number)
    }

    /// The position.
    #[must_use]
    pub fn position(self) -> u64 {
        self.0 & Place::MAX_POSITION
    }

    /// The partition that the position is in; nothing where it is in Reel's own log.
    #[must_use]
    pub fn partition(self) -> Option<u32> {
        u32::try_from(self.0 >> POSITION_BITS).expect("16 bits").checked_sub(1)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition() {
            Some(partition) => write!(f, "{partition}:{}", self.position()),
            None => self.position().fmt(f),
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Place, PlaceError> {
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
        let place = match text.split_once(':') {
            None => number(text).and_then(Place::global),
            Some((partition, position)) => number(partition)
                .and_then(|partition| u32::try_from(partition).ok())
                .zip(number(position))
                .and_then(|(partition, position)| Place::in_partition(partition, position)),
        };
        place.ok_or_else(|| PlaceError(text.chars().take(60).collect()))
    }
}

/// A number where it is a position of Reel's own log, a text where it names a partition.
impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.partition() {
            Some(_) => serializer.collect_str(self),
            None => serializer.serialize_u64(self.position()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_and_places() {
        for (text, partition, position) in [
            ("0", None, 0),
            ("4711", None, 4711),
            ("0:1", Some(0), 1),
            ("32766:281474976710655", Some(32_766), (1 << 48) - 1),
        ] {
            let place: Place = text.parse().unwrap();
            assert_eq!((place.partition(), place.position(), place.to_string().as_str()), (partition, position, text));
            assert!(i64::try_from(place.number()).is_ok());
        }
        for text in ["", ":", "1:", ":1", "+1", "-1", "a", "1:2:3", "32767:1", "0:281474976710656", "281474976710656"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_own_log_comes_first_then_the_partitions() {
        let places = ["0", "9", "0:1", "0:2", "1:1"].map(|text| text.parse::<Place>().unwrap());
        assert!(places.is_sorted());
        assert_eq!(serde_json::to_string(&places[1..3]).unwrap(), r#"[9,"0:1"]"#);
    }

    proptest! {
        #[test]
        fn number_and_text_are_the_place(partition in 0..=Place::MAX_PARTITION, position in 0..=Place::MAX_POSITION) {
            let place = Place::in_partition(partition, position).unwrap();
            prop_assert_eq!(Place::from_number(place.number()), place);
            prop_assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        }
    }
}
