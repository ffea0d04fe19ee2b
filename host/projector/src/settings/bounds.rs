//! What a schema may cost: how large it is with every reference written out, since that is what a check walks through.
//!
//! A reference must point into the schema itself (`#/$defs/name`) and lead to an end. Members named `$ref` count as references
//! wherever they stand, in an `enum` or as the name of a property too: that refuses a little more than it must.

use std::collections::HashMap;

use serde_json::Value;

/// Most values of a schema, and most levels, with every reference written out.
const MAX_SIZE: Size = Size { values: 20_000, levels: 200 };
/// Most regular expressions of a schema.
const MAX_PATTERNS: usize = 100;
/// Members that give a schema other names than its place, which no reference here needs.
const REFUSED: [&str; 5] = ["$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef"];

/// How large a part of a schema is with every reference written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    values: u64,
    levels: u64,
}

#[derive(Debug)]
struct Walk<'a> {
    schema: &'a Value,
    /// By JSON pointer; nothing while it is being walked through.
    sizes: HashMap<&'a str, Option<Size>>,
    patterns: usize,
}

/// Refuses a schema that could cost more than a moment.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let mut walk = Walk { schema, sizes: HashMap::from([("", None)]), patterns: 0 };
    walk.size(schema, 0)?;
    if walk.patterns > MAX_PATTERNS {
        return Err(format!("{} regular expressions: at most {MAX_PATTERNS} are possible", walk.patterns));
    }
    Ok(())
}

impl<'a> Walk<'a> {
    /// `above`: how many levels led here.
    fn size(&mut self, part: &'a Value, above: u64) -> Result<Size, String> {
        let mut size = Size { values: 1, levels: 1 };
        match part {
            Value::Object(members) => {
                for (name, value) in members {
                    let inner = self.member(name, value, above + 1)?;
                    size.take(inner)?;
                }
            }
            Value::Array(items) => {
                for item in items {
                    let inner = self.size(item, above + 1)?;
                    size.take(inner)?;
                }
            }
            _ => {}
        }
        if above + size.levels > MAX_SIZE.levels {
            return Err(format!("more than {} levels with every $ref written out: make it flatter", MAX_SIZE.levels));
        }
        Ok(size)
    }

    fn member(&mut self, name: &'a str, value: &'a Value, above: u64) -> Result<Size, String> {
        match (name, value) {
            ("$ref", Value::String(reference)) => return self.target(reference, above),
            ("pattern", Value::String(_)) => self.patterns += 1,
            ("patternProperties", Value::Object(patterns)) => self.patterns += patterns.len(),
            (name, Value::String(_)) if REFUSED.contains(&name) => {
                return Err(format!(
                    "{name} is not taken here: keep parts in $defs, and refer to them as #/$defs/NAME"
                ));
            }
            _ => {}
        }
        self.size(value, above)
    }

    fn target(&mut self, reference: &'a str, above: u64) -> Result<Size, String> {
        let pointer = reference.strip_prefix('#');
        let Some((pointer, part)) = pointer.and_then(|pointer| Some((pointer, self.schema.pointer(pointer)?))) else {
            return Err(format!(
                "$ref {reference:?} does not point into the schema: keep the part in $defs, and refer to it as #/$defs/NAME"
            ));
        };
        match self.sizes.get(pointer) {
            Some(Some(size)) => Ok(*size),
            Some(None) => {
                Err(format!("$ref {reference:?} leads back to itself, and settings are not recursive: remove it"))
            }
            None => {
                self.sizes.insert(pointer, None);
                let size = self.size(part, above)?;
                self.sizes.insert(pointer, Some(size));
                Ok(size)
            }
        }
    }
}

impl Size {
    /// Adds a part that stands inside.
    fn take(&mut self, inner: Size) -> Result<(), String> {
        self.values += inner.values;
        self.levels = self.levels.max(1 + inner.levels);
        if self.values > MAX_SIZE.values {
            return Err(format!("more than {} values with every $ref written out: make it smaller", MAX_SIZE.values));
        }
        Ok(())
    }
}
