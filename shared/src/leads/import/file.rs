//! The uploaded file: parts in the database, read one at a time.

use uuid::Uuid;

use crate::{
    db::{DbError, DbResult, TenantTx},
    jobs,
};

/// A file in parts.
pub(super) struct PartFile {
    job: Uuid,
    /// (number, where it begins, where it ends)
    parts: Vec<(i32, i64, i64)>,
    loaded: Option<(i32, Vec<u8>)>,
}

impl PartFile {
    /// Looks up which parts there are.
    pub(super) async fn open(tx: &mut TenantTx, job: Uuid) -> DbResult<Self> {
        let mut end = 0;
        let sizes = jobs::part_sizes(tx, job).await?.into_iter();
        let parts = sizes.map(|(number, bytes)| {
            let begin = end;
            end += bytes;
            (number, begin, end)
        });
        Ok(Self { job, parts: parts.collect(), loaded: None })
    }

    /// The bytes from a place to the end of its part; none behind the end of the file.
    pub(super) async fn piece(&mut self, tx: &mut TenantTx, place: i64) -> DbResult<&[u8]> {
        let found = self.parts.iter().find(|(_, begin, end)| (*begin..*end).contains(&place));
        let Some((number, begin, _)) = found.copied() else { return Ok(&[]) };
        if self.loaded.as_ref().is_none_or(|(loaded, _)| *loaded != number) {
            // The former one goes before the next comes.
            self.loaded = None;
            let bytes = jobs::read_part(tx, self.job, number).await?;
            let bytes = bytes.ok_or_else(|| DbError::Defect("a part of an upload is gone".to_owned()))?;
            self.loaded = Some((number, bytes));
        }
        let within = usize::try_from(place - begin).unwrap_or_default();
        Ok(self.loaded.as_ref().and_then(|(_, bytes)| bytes.get(within..)).unwrap_or_default())
    }

    /// The first bytes, as many as are wanted or as there are.
    pub(super) async fn head(&mut self, tx: &mut TenantTx, bytes: usize) -> DbResult<Vec<u8>> {
        let mut head = Vec::new();
        while head.len() < bytes {
            let place = i64::try_from(head.len()).unwrap_or(i64::MAX);
            let piece = self.piece(tx, place).await?;
            if piece.is_empty() {
                break;
            }
            head.extend_from_slice(piece.get(..piece.len().min(bytes - head.len())).unwrap_or_default());
        }
        Ok(head)
    }
}
