//! Arrow columns of finished flows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    Int32Builder, ListBuilder, StringBuilder, UInt16Builder, UInt32Builder, UInt64Builder, UInt8Builder,
};
use arrow_array::types::{Float32Type, Float64Type, Int64Type, UInt16Type, UInt32Type, UInt64Type, UInt8Type};
use arrow_array::{
    new_null_array, Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch, RecordBatchOptions,
};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::{ArrowError, DataType, Field as ArrowField, Schema, SchemaRef};

use crate::app::{Field, Kind, Value};
use crate::schema::{columns, Column, FeatureSet, Fill, Row, SCHEMA_VERSION};

/// Rows turned into columns at once: few enough to stay in the processor's cache while every column passes over them.
const CHUNK_ROWS: usize = 128;

/// Values of a numeric column and which of them are known.
pub struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Default for Numbers<T> {
    fn default() -> Self {
        Numbers { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    /// Appends one value for each row; a null is kept as 0 that is marked unknown.
    #[inline(always)]
    pub fn extend(&mut self, rows: &[Row], get: impl Fn(&Row) -> Option<T::Native>) {
        debug_assert!(rows.len() <= CHUNK_ROWS);
        let mut known = [true; CHUNK_ROWS];
        let mut unknown = 0usize;
        self.values.extend(rows.iter().zip(&mut known).map(|(row, known)| {
            let value = get(row);
            *known = value.is_some();
            unknown += usize::from(value.is_none());
            value.unwrap_or_default()
        }));
        match (unknown, known.get(..rows.len())) {
            (0, _) => self.nulls.append_n_non_nulls(rows.len()),
            (all, _) if all == rows.len() => self.nulls.append_n_nulls(all),
            (_, Some(known)) => self.nulls.append_slice(known),
            _ => {}
        }
    }

    fn append_nulls(&mut self, count: usize) {
        self.values.resize(self.values.len() + count, T::Native::default());
        self.nulls.append_n_nulls(count);
    }

    fn append(&mut self, value: T::Native) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    fn finish(&mut self) -> ArrayRef {
        let capacity = self.values.len();
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(capacity));
        Arc::new(PrimitiveArray::<T>::new(values.into(), self.nulls.finish()))
    }
}

/// Values of a text column.
#[derive(Default)]
pub struct Texts {
    builder: StringBuilder,
    buffer: String,
}

impl Texts {
    /// Appends one text for each row: what `write` left in the buffer, or null if it returned false.
    #[inline(always)]
    pub fn extend(&mut self, rows: &[Row], write: impl Fn(&Row, &mut String) -> bool) {
        for row in rows {
            self.buffer.clear();
            if write(row, &mut self.buffer) {
                self.builder.append_value(&self.buffer);
            } else {
                self.builder.append_null();
            }
        }
    }
}

enum Builder {
    U8(Numbers<UInt8Type>),
    U16(Numbers<UInt16Type>),
    U32(Numbers<UInt32Type>),
    U64(Numbers<UInt64Type>),
    I64(Numbers<Int64Type>),
    F32(Numbers<Float32Type>),
    F64(Numbers<Float64Type>),
    Text(Texts),
    U8List(ListBuilder<UInt8Builder>),
    U16List(ListBuilder<UInt16Builder>),
    U32List(ListBuilder<UInt32Builder>),
    U64List(ListBuilder<UInt64Builder>),
    I32List(ListBuilder<Int32Builder>),
    TextList(ListBuilder<StringBuilder>),
}

impl Builder {
    fn for_column(column: &Column) -> Builder {
        match &column.fill {
            Fill::U8(_) => Builder::U8(Numbers::default()),
            Fill::U16(_) => Builder::U16(Numbers::default()),
            Fill::U32(_) => Builder::U32(Numbers::default()),
            Fill::U64(_) => Builder::U64(Numbers::default()),
            Fill::I64(_) => Builder::I64(Numbers::default()),
            Fill::F32(_) => Builder::F32(Numbers::default()),
            Fill::F64(_) => Builder::F64(Numbers::default()),
            Fill::Text(_) => Builder::Text(Texts::default()),
            Fill::U8List(_) => Builder::U8List(ListBuilder::new(UInt8Builder::new())),
            Fill::U16List(_) => Builder::U16List(ListBuilder::new(UInt16Builder::new())),
            Fill::U32List(_) => Builder::U32List(ListBuilder::new(UInt32Builder::new())),
            Fill::I32List(_) => Builder::I32List(ListBuilder::new(Int32Builder::new())),
            Fill::Application(field) => match field.kind() {
                Kind::Text => Builder::Text(Texts::default()),
                Kind::TextList => Builder::TextList(ListBuilder::new(StringBuilder::new())),
                Kind::Number | Kind::Count => Builder::U64(Numbers::default()),
                Kind::NumberList => Builder::U64List(ListBuilder::new(UInt64Builder::new())),
            },
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::U8(numbers) => numbers.finish(),
            Builder::U16(numbers) => numbers.finish(),
            Builder::U32(numbers) => numbers.finish(),
            Builder::U64(numbers) => numbers.finish(),
            Builder::I64(numbers) => numbers.finish(),
            Builder::F32(numbers) => numbers.finish(),
            Builder::F64(numbers) => numbers.finish(),
            Builder::Text(texts) => Arc::new(texts.builder.finish()),
            Builder::U8List(builder) => Arc::new(builder.finish()),
            Builder::U16List(builder) => Arc::new(builder.finish()),
            Builder::U32List(builder) => Arc::new(builder.finish()),
            Builder::U64List(builder) => Arc::new(builder.finish()),
            Builder::I32List(builder) => Arc::new(builder.finish()),
            Builder::TextList(builder) => Arc::new(builder.finish()),
        }
    }

    /// Appends nulls to a column of application fields.
    fn append_nulls(&mut self, count: usize) {
        match self {
            Builder::Text(texts) => texts.builder.append_nulls(count),
            Builder::TextList(builder) => builder.append_nulls(count),
            Builder::U64List(builder) => builder.append_nulls(count),
            Builder::U64(numbers) => numbers.append_nulls(count),
            _ => {}
        }
    }

    fn append_field(&mut self, value: &Value) {
        match (self, value) {
            (Builder::Text(texts), Value::Text(text)) => texts.builder.append_value(text),
            (Builder::U64(numbers), Value::Number(number)) => numbers.append(*number),
            (Builder::TextList(builder), Value::TextList(texts)) => {
                texts.iter().for_each(|text| builder.values().append_value(text));
                builder.append(true);
            }
            (Builder::U64List(builder), Value::NumberList(numbers)) => {
                builder.values().append_slice(numbers);
                builder.append(true);
            }
            (builder, _) => builder.append_nulls(1),
        }
    }

    fn append(&mut self, fill: &Fill, rows: &[Row]) {
        match (self, fill) {
            (Builder::U8(numbers), Fill::U8(fill)) => fill(rows, numbers),
            (Builder::U16(numbers), Fill::U16(fill)) => fill(rows, numbers),
            (Builder::U32(numbers), Fill::U32(fill)) => fill(rows, numbers),
            (Builder::U64(numbers), Fill::U64(fill)) => fill(rows, numbers),
            (Builder::I64(numbers), Fill::I64(fill)) => fill(rows, numbers),
            (Builder::F32(numbers), Fill::F32(fill)) => fill(rows, numbers),
            (Builder::F64(numbers), Fill::F64(fill)) => fill(rows, numbers),
            (Builder::Text(texts), Fill::Text(fill)) => fill(rows, texts),
            (Builder::U8List(builder), Fill::U8List(fill)) => fill(rows, builder),
            (Builder::U16List(builder), Fill::U16List(fill)) => fill(rows, builder),
            (Builder::U32List(builder), Fill::U32List(fill)) => fill(rows, builder),
            (Builder::I32List(builder), Fill::I32List(fill)) => fill(rows, builder),
            _ => {}
        }
    }
}

/// A column that is being filled; rows without a value are not appended before one with a value comes.
///
/// Most application fields have no value in most batches: such a column costs nothing until it is finished.
struct Filling {
    builder: Builder,
    rows: usize,
}

impl Filling {
    fn new(column: &Column) -> Filling {
        Filling { builder: Builder::for_column(column), rows: 0 }
    }

    /// Appends a value of every row, unless the column is that of an application field.
    fn append(&mut self, fill: &Fill, rows: &[Row]) {
        if !matches!(fill, Fill::Application(_)) {
            self.builder.append(fill, rows);
            self.rows += rows.len();
        }
    }

    /// Appends the value of an application field of a row, counted from 0 since the last batch.
    fn put(&mut self, row: usize, value: &Value) {
        self.skip_to(row);
        self.builder.append_field(value);
        self.rows += 1;
    }

    fn skip_to(&mut self, row: usize) {
        if row > self.rows {
            self.builder.append_nulls(row - self.rows);
            self.rows = row;
        }
    }

    fn finish(&mut self, rows: usize, data_type: &DataType, nulls: &mut Nulls) -> ArrayRef {
        if self.rows == 0 {
            return nulls.array(data_type, rows);
        }
        self.skip_to(rows);
        self.rows = 0;
        self.builder.finish()
    }
}

/// Columns without any value, by type: all that are alike share the memory of one.
#[derive(Default)]
struct Nulls {
    arrays: HashMap<DataType, ArrayRef>,
}

impl Nulls {
    fn array(&mut self, data_type: &DataType, rows: usize) -> ArrayRef {
        let long_enough = self.arrays.get(data_type).filter(|array| array.len() >= rows);
        let array = match long_enough {
            Some(array) => array.clone(),
            None => new_null_array(data_type, rows),
        };
        self.arrays.insert(data_type.clone(), array.clone());
        array.slice(0, rows)
    }
}

/// Collects finished flows and turns them into record batches.
pub struct BatchBuilder {
    columns: Vec<Column>,
    filling: Vec<Filling>,
    /// Where the column of each application field is, if the feature set has it.
    places: [Option<usize>; Field::ALL.len()],
    nulls: Nulls,
    schema: SchemaRef,
    chunk: Vec<Row>,
    rows: usize,
}

impl BatchBuilder {
    /// Makes a builder for the columns of a feature set.
    pub fn new(set: FeatureSet) -> BatchBuilder {
        let columns = columns(set);
        let filling = columns.iter().map(Filling::new).collect();
        let schema = arrow_schema(&columns);
        let mut places = [None; Field::ALL.len()];
        for (index, column) in columns.iter().enumerate() {
            if let Fill::Application(field) = column.fill {
                places[field as usize] = Some(index);
            }
        }
        BatchBuilder {
            columns,
            filling,
            places,
            nulls: Nulls::default(),
            schema,
            chunk: Vec::with_capacity(CHUNK_ROWS),
            rows: 0,
        }
    }

    /// Returns the Arrow schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Counts rows since the last batch.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Tells whether there is no row since the last batch.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row.
    pub fn push(&mut self, row: Row) {
        self.rows += 1;
        self.chunk.push(row);
        if self.chunk.len() == CHUNK_ROWS {
            self.flush();
        }
    }

    /// Makes a batch of all rows since the last one.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.flush();
        let (rows, nulls) = (std::mem::take(&mut self.rows), &mut self.nulls);
        let finish =
            |(filling, field): (&mut Filling, &Arc<ArrowField>)| filling.finish(rows, field.data_type(), nulls);
        let arrays = self.filling.iter_mut().zip(self.schema.fields()).map(finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
    }

    fn flush(&mut self) {
        for (column, filling) in self.columns.iter().zip(&mut self.filling) {
            filling.append(&column.fill, &self.chunk);
        }
        let first = self.rows - self.chunk.len();
        for (row, values) in self.chunk.iter().enumerate().filter_map(|(at, row)| Some((first + at, row.inspector()?)))
        {
            for (field, value) in values.fields.iter() {
                if let Some(filling) = self.places[*field as usize].and_then(|index| self.filling.get_mut(index)) {
                    filling.put(row, value);
                }
            }
        }
        self.chunk.clear();
    }
}

/// Returns the Arrow schema of some columns; units and definitions are kept as metadata.
pub fn arrow_schema(columns: &[Column]) -> SchemaRef {
    let fields: Vec<ArrowField> = columns.iter().map(arrow_field).collect();
    let metadata = [("infraspectre.schema_version".to_string(), SCHEMA_VERSION.to_string())];
    Arc::new(Schema::new_with_metadata(fields, HashMap::from(metadata)))
}

fn arrow_field(column: &Column) -> ArrowField {
    let metadata = [("unit", column.unit), ("definition", column.definition)];
    let known = metadata.iter().filter(|(_, value)| !value.is_empty());
    let metadata: HashMap<_, _> = known.map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect();
    ArrowField::new(column.name, data_type(column), true).with_metadata(metadata)
}

fn data_type(column: &Column) -> DataType {
    let array = Builder::for_column(column).finish();
    array.data_type().clone()
}

/// Names a column's type: u8 to u64, i32, i64, f32, f64, str, or a list such as `list<u16>`.
pub fn type_name(column: &Column) -> String {
    let short = |data_type: &DataType| match data_type {
        DataType::UInt8 => "u8",
        DataType::UInt16 => "u16",
        DataType::UInt32 => "u32",
        DataType::UInt64 => "u64",
        DataType::Int32 => "i32",
        DataType::Int64 => "i64",
        DataType::Float32 => "f32",
        DataType::Float64 => "f64",
        _ => "str",
    };
    match data_type(column) {
        DataType::List(item) => format!("list<{}>", short(item.data_type())),
        scalar => short(&scalar).to_string(),
    }
}
