//! The feature schema: every column of a flow batch, with its unit, type, definition, source and how it is computed.
//!
//! One table generates the Arrow schema, the values and the documentation. [`SCHEMA_VERSION`] changes whenever a column
//! is added, removed or redefined.

mod cic;
mod flow;
mod row;

use arrow_array::builder::{Int32Builder, ListBuilder, UInt16Builder, UInt32Builder, UInt8Builder};
use arrow_array::types::{Float32Type, Float64Type, Int64Type, UInt16Type, UInt32Type, UInt64Type, UInt8Type};

use crate::app::Field;
use crate::batch::{Numbers, Texts};
pub(crate) use flow::push_mac;
pub use row::Row;

/// Version of the columns and their definitions.
pub const SCHEMA_VERSION: u32 = 1;

/// Which columns a batch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FeatureSet {
    /// Flow records: identity, totals, connection state, application fields.
    Base,
    /// Flow identity and the classic columns under CICFlowMeter's names.
    Cic,
    /// Flow records and all statistics.
    Full,
}

impl FeatureSet {
    /// Finds a set by its name on the command line.
    pub fn named(name: &str) -> Option<FeatureSet> {
        match name {
            "base" => Some(FeatureSet::Base),
            "cic" => Some(FeatureSet::Cic),
            "full" => Some(FeatureSet::Full),
            _ => None,
        }
    }

    const fn bit(self) -> u8 {
        match self {
            FeatureSet::Base => 1,
            FeatureSet::Cic => 2,
            FeatureSet::Full => 4,
        }
    }
}

/// Sets a column belongs to, as bits of [`FeatureSet::bit`].
pub(crate) mod sets {
    pub const ALL: u8 = 7;
    pub const BASE: u8 = 5;
    pub const CIC: u8 = 2;
    pub const FULL: u8 = 4;
}

/// How a column's values are appended for some rows.
pub(crate) enum Fill {
    U8(fn(&[Row], &mut Numbers<UInt8Type>)),
    U16(fn(&[Row], &mut Numbers<UInt16Type>)),
    U32(fn(&[Row], &mut Numbers<UInt32Type>)),
    U64(fn(&[Row], &mut Numbers<UInt64Type>)),
    I64(fn(&[Row], &mut Numbers<Int64Type>)),
    F32(fn(&[Row], &mut Numbers<Float32Type>)),
    F64(fn(&[Row], &mut Numbers<Float64Type>)),
    Text(fn(&[Row], &mut Texts)),
    U8List(fn(&[Row], &mut ListBuilder<UInt8Builder>)),
    U16List(fn(&[Row], &mut ListBuilder<UInt16Builder>)),
    U32List(fn(&[Row], &mut ListBuilder<UInt32Builder>)),
    I32List(fn(&[Row], &mut ListBuilder<Int32Builder>)),
    Application(Field),
}

/// One column: what it is called, what it means, and how it is computed.
pub struct Column {
    pub name: &'static str,
    /// Unit of the values: bytes, packets, ms, bits, per second, or empty for names and codes.
    pub unit: &'static str,
    pub group: &'static str,
    pub definition: &'static str,
    /// Where the definition comes from: an RFC, a paper, another tool, or empty for our own.
    pub source: &'static str,
    pub(crate) sets: u8,
    pub(crate) fill: Fill,
}

impl Column {
    /// Tells whether a feature set has this column.
    pub fn is_in(&self, set: FeatureSet) -> bool {
        self.sets & set.bit() != 0
    }
}

/// Defines a column from a function of a row that returns an option.
macro_rules! column {
    ($kind:ident, $name:expr, $unit:expr, $group:expr, $sets:expr, $definition:expr, $source:expr, |$row:ident| $value:expr) => {
        $crate::schema::Column {
            name: $name,
            unit: $unit,
            group: $group,
            definition: $definition,
            source: $source,
            sets: $sets,
            fill: $crate::schema::Fill::$kind(|rows, out| out.extend(rows, |$row| $value)),
        }
    };
}
pub(crate) use column;

/// Returns the columns of a feature set, in order.
pub fn columns(set: FeatureSet) -> Vec<Column> {
    all_columns().into_iter().filter(|column| column.is_in(set)).collect()
}

/// Returns every column of every set, in order.
pub fn all_columns() -> Vec<Column> {
    let mut columns = flow::identity();
    columns.extend(flow::totals());
    columns.extend(flow::tcp());
    columns.extend(flow::statistics());
    columns.extend(flow::sequence());
    columns.extend(flow::payload());
    columns.extend(flow::damped());
    columns.extend(flow::application());
    columns.extend(cic::columns());
    columns
}
