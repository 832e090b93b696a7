//! Many short texts in one piece of memory: those of thousands of nodes cost no allocation each.

/// Texts by position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    text: String,
    /// Where each of them ends in `text`.
    ends: Vec<usize>,
}

impl Texts {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    /// Puts another text in the place of the last one.
    pub(crate) fn replace_last(&mut self, text: &str) {
        self.truncate(self.len().saturating_sub(1));
        self.push(text);
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// The text at a position, which must be below [`Texts::len`].
    pub(crate) fn get(&self, position: usize) -> &str {
        let start = position
            .checked_sub(1)
            .map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[position]]
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|position| self.get(position))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(String),
        ReplaceLast(String),
        Truncate(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            ".{0,8}".prop_map(Step::Push),
            ".{0,8}".prop_map(Step::ReplaceLast),
            (0..8_usize).prop_map(Step::Truncate),
        ]
    }

    proptest! {
        #[test]
        fn texts_are_a_list_of_texts(steps in prop::collection::vec(step(), 0..40)) {
            let (mut texts, mut list) = (Texts::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Push(text) => {
                        texts.push(&text);
                        list.push(text);
                    }
                    Step::ReplaceLast(text) => {
                        texts.replace_last(&text);
                        list.pop();
                        list.push(text);
                    }
                    Step::Truncate(len) => {
                        texts.truncate(len);
                        list.truncate(len);
                    }
                }
                prop_assert_eq!(texts.iter().collect::<Vec<_>>(), list.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
    }
}
