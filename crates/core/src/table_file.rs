//! Parquet files of record batches.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
pub use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

/// Rows of a row group: what is held in memory before it is written.
const ROW_GROUP_ROWS: usize = 32_768;

/// Columns whose values rise or nearly so.
const SORTED_COLUMNS: [&str; 4] = ["started_at", "ended_at", "first_packet", "last_packet"];

/// Writes record batches of one schema as a Parquet table.
pub struct TableWriter<W: Write + Send> {
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> TableWriter<W> {
    /// Starts a table.
    pub fn new(output: W, schema: SchemaRef) -> Result<Self, ParquetError> {
        // Numbers are written plainly: dictionaries of measured values cost more time than they save space.
        // Least and greatest values are noted where they let a reader pass over row groups: in columns that are sorted.
        let sorted = SORTED_COLUMNS.iter().fold(WriterProperties::builder(), |properties, name| {
            properties.set_column_statistics_enabled((*name).into(), EnabledStatistics::Chunk)
        });
        let properties = sorted
            .set_compression(Compression::LZ4_RAW)
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::PLAIN)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        Ok(TableWriter { writer: ArrowWriter::try_new(output, schema, Some(properties))? })
    }

    /// Appends a batch.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.writer.write(batch)
    }

    /// Writes what is left and the table's footer.
    pub fn close(self) -> Result<(), ParquetError> {
        self.writer.close().map(|_| ())
    }
}
