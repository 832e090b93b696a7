//! Numbers of many alerts, kept column by column: in most columns all have the same, or what another column has.

/// Numbers in rows of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    columns: Vec<Column>,
    rows: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    /// What all rows have.
    Same(u64),
    /// What each row has.
    Each(Vec<u64>),
    /// In each row what it has in this column, which comes before.
    Like(u8),
}

/// Stands before encoded numbers. Before there were columns, the first thing was a time, and no time is this one.
const MARK: [u8; 8] = i64::MIN.to_le_bytes();
const SAME: u8 = 0;
const EACH: u8 = 1;
const LIKE: u8 = 2;

impl Numbers {
    /// Of rows of `width` numbers, one after another.
    pub(super) fn of(rows: &[u64], width: usize) -> Self {
        let mut columns: Vec<Column> = Vec::with_capacity(width);
        for place in 0..width {
            let each = || rows.iter().skip(place).step_by(width).copied();
            let first = each().next().unwrap_or(0);
            let like = |column: &Column| match column {
                Column::Each(numbers) => each().eq(numbers.iter().copied()),
                Column::Same(_) | Column::Like(_) => false,
            };
            let column = if each().all(|number| number == first) {
                Column::Same(first)
            } else if let Some(before) = columns.iter().position(like)
                && let Ok(before) = u8::try_from(before)
            {
                Column::Like(before)
            } else {
                Column::Each(each().collect())
            };
            columns.push(column);
        }
        let rows = rows.len().checked_div(width).unwrap_or(0);
        Self {
            columns,
            rows: u32::try_from(rows).unwrap_or(u32::MAX),
        }
    }

    /// The number in a column of a row; 0 where there is none.
    pub(super) fn get(&self, column: usize, row: usize) -> u64 {
        match self.columns.get(column) {
            Some(Column::Same(number)) => *number,
            Some(Column::Each(numbers)) => numbers.get(row).copied().unwrap_or(0),
            Some(Column::Like(before)) => self.get(usize::from(*before), row),
            None => 0,
        }
    }

    /// The number that all rows have in a column.
    pub(super) fn same(&self, column: usize) -> Option<u64> {
        match self.columns.get(column)? {
            Column::Same(number) => Some(*number),
            Column::Each(_) => None,
            Column::Like(before) => self.same(usize::from(*before)),
        }
    }

    /// The numbers as bytes, which the head, the nodes and [`super::Parcel::from_parts`] make a parcel of again.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        bytes.extend(self.rows.to_le_bytes());
        for column in &self.columns {
            match column {
                Column::Same(number) => {
                    bytes.push(SAME);
                    bytes.extend(number.to_le_bytes());
                }
                Column::Each(numbers) => {
                    bytes.push(EACH);
                    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
                }
                Column::Like(before) => bytes.extend([LIKE, *before]),
            }
        }
        bytes
    }

    /// So many columns and rows of encoded numbers; `None` if there are others.
    pub(super) fn decode(bytes: &[u8], width: usize, rows: usize) -> Option<Self> {
        let Some(marked) = bytes.strip_prefix(&MARK) else {
            return Self::of_records(bytes, width, rows);
        };
        let (found, mut rest) = marked.split_first_chunk()?;
        let found = u32::from_le_bytes(*found);
        if usize::try_from(found) != Ok(rows) {
            return None;
        }
        let mut columns = Vec::with_capacity(width);
        while let Some((kind, numbers)) = rest.split_first() {
            let column;
            (column, rest) = match *kind {
                SAME => {
                    let (number, rest) = numbers.split_first_chunk()?;
                    (Column::Same(u64::from_le_bytes(*number)), rest)
                }
                EACH => {
                    let (numbers, rest) = numbers.split_at_checked(rows.checked_mul(8)?)?;
                    let (numbers, _) = numbers.as_chunks();
                    let numbers = numbers.iter().map(|number| u64::from_le_bytes(*number));
                    (Column::Each(numbers.collect()), rest)
                }
                LIKE => {
                    let (before, rest) = numbers.split_first()?;
                    (usize::from(*before) < columns.len())
                        .then_some((Column::Like(*before), rest))?
                }
                _ => return None,
            };
            columns.push(column);
        }
        (columns.len() == width).then_some(Self {
            columns,
            rows: found,
        })
    }

    /// As they were kept once: row by row, eight bytes a number, four the second one.
    fn of_records(bytes: &[u8], width: usize, rows: usize) -> Option<Self> {
        let len = (8 * width).checked_sub(4)?;
        if bytes.len() != len.checked_mul(rows)? {
            return None;
        }
        let mut numbers = Vec::with_capacity(width * rows);
        for record in bytes.chunks_exact(len) {
            let (first, rest) = record.split_first_chunk::<8>()?;
            let (second, rest) = rest.split_first_chunk::<4>()?;
            numbers.extend([
                u64::from_le_bytes(*first),
                u64::from(u32::from_le_bytes(*second)),
            ]);
            let (rest, _) = rest.as_chunks();
            numbers.extend(rest.iter().map(|number| u64::from_le_bytes(*number)));
        }
        Some(Self::of(&numbers, width))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_come_out_as_they_went_in() {
        let cases: [&[[u64; 4]]; 4] = [
            &[],
            &[[1, 2, 3, u64::MAX]],
            &[[1, 2, 3, 3], [1, 4, 5, 5]],
            &[[7, 2, 3, 9], [7, 2, 5, 9], [7, 2, 0, 8]],
        ];
        for rows in cases {
            let numbers = Numbers::of(rows.as_flattened(), 4);
            let bytes = numbers.encode();
            assert_eq!(
                Numbers::decode(&bytes, 4, rows.len()),
                Some(numbers.clone())
            );
            for (row, expected) in rows.iter().enumerate() {
                let found = [0, 1, 2, 3].map(|column| numbers.get(column, row));
                assert_eq!(found, *expected);
            }
            for column in 0..4 {
                let each: BTreeSet<u64> = rows.iter().map(|row| row[column]).collect();
                let same = numbers.same(column);
                assert!(same.is_none_or(|same| each.iter().all(|number| *number == same)));
                assert_eq!(same.is_some(), each.len() < 2, "{each:?}");
            }
        }
    }

    #[test]
    fn what_all_rows_have_is_kept_once() {
        let rows: Vec<[u64; 5]> = (0..1000).map(|row| [7, 0, row, row, 60]).collect();
        let bytes = Numbers::of(rows.as_flattened(), 5).encode();
        assert_eq!(bytes.len(), 8 + 4 + 9 + 9 + 8001 + 2 + 9);
    }

    #[test]
    fn records_are_still_read() {
        let mut bytes = Vec::new();
        for (since, repeats, value) in [(-5_i64, 1_u32, 0.5_f64), (6, 2, f64::MAX)] {
            bytes.extend(since.to_le_bytes());
            bytes.extend(repeats.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        let numbers = Numbers::decode(&bytes, 3, 2).unwrap();
        let since = |row| numbers.get(0, row).cast_signed();
        assert_eq!((since(0), numbers.get(1, 0)), (-5, 1));
        assert_eq!((since(1), numbers.get(1, 1)), (6, 2));
        assert_eq!(numbers.get(2, 1), f64::MAX.to_bits());
        assert_eq!(Numbers::decode(&bytes, 3, 1), None);
        assert_eq!(Numbers::decode(&bytes, 4, 2), None);
    }

    #[test]
    fn other_numbers_are_none() {
        let bytes = Numbers::of(&[1, 2, 3, 1, 4, 4], 3).encode();
        assert!(Numbers::decode(&bytes, 3, 2).is_some());
        for (width, rows) in [(2, 2), (4, 2), (3, 1), (3, 3)] {
            assert_eq!(Numbers::decode(&bytes, width, rows), None, "{width} {rows}");
        }
        for end in 0..bytes.len() {
            assert_eq!(Numbers::decode(&bytes[..end], 3, 2), None, "{end}");
        }
        let unknown = [&MARK[..], &[2, 0, 0, 0, LIKE, 0]].concat();
        assert_eq!(Numbers::decode(&unknown, 1, 2), None, "like itself");
    }
}
