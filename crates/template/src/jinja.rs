//! Parses the subset of Jinja that alerts use: its statements. Expressions are in `expression`.

mod expression;

use crate::ast::{Assignment, Body, Each, Expr, Kind, LoopStyle, Node};
use crate::error::{Fault, Problem};
use crate::lex::{Cursor, Token};
use crate::pieces::{self, Piece, Tag};
use crate::{Dialect, limits};

const STATEMENTS: &str = "if, elif, else, endif, for, endfor, set, raw, endraw";

/// Parses a whole template.
pub(crate) fn parse(text: &str) -> Result<Body, Fault> {
    // Jinja drops one line break at the very end.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let pieces = pieces::split(text, Dialect::Jinja)?;
    let mut parser = Parser {
        pieces: pieces.iter(),
        depth: 0,
    };
    let (body, end) = parser.body(None)?;
    match end {
        None => Ok(body),
        Some(end) => Err(syntax(end.at, "this tag belongs to no open block")),
    }
}

fn syntax(at: usize, message: impl Into<String>) -> Fault {
    Fault::syntax(at, Dialect::Jinja, message)
}

/// The tag that ended the body of a block.
struct End<'p> {
    word: &'p str,
    at: usize,
    cursor: Cursor<'p>,
}

struct Parser<'p> {
    pieces: std::slice::Iter<'p, (usize, Piece)>,
    depth: usize,
}

impl<'p> Parser<'p> {
    /// Reads up to the tag that ends a body; `opened` is the statement that opened it.
    fn body(&mut self, opened: Option<(&str, usize)>) -> Result<(Body, Option<End<'p>>), Fault> {
        let mut body = Body::new();
        while let Some((at, piece)) = self.pieces.next() {
            let tag = match piece {
                Piece::Text(text) => {
                    body.push(Node {
                        at: *at,
                        kind: Kind::Text(text.clone()),
                    });
                    continue;
                }
                Piece::Tag(tag) => tag,
            };
            let mut cursor = Cursor::new(&tag.lexemes, tag.end, Dialect::Jinja);
            if !tag.statement {
                let kind = Kind::Print(expression::whole(&mut cursor)?);
                body.push(Node { at: tag.at, kind });
                continue;
            }
            let word = cursor.name("the name of a statement")?;
            if matches!(word, "elif" | "else" | "endif" | "endfor") {
                return Ok((
                    body,
                    Some(End {
                        word,
                        at: tag.at,
                        cursor,
                    }),
                ));
            }
            let kind = self.statement(word, tag, &mut cursor)?;
            body.push(Node { at: tag.at, kind });
        }
        match opened {
            None => Ok((body, None)),
            Some((word, at)) => {
                let message = format!("`{word}` is not closed, expected {{% end{word} %}}");
                Err(syntax(at, message))
            }
        }
    }

    fn statement(
        &mut self,
        word: &str,
        tag: &'p Tag,
        cursor: &mut Cursor<'p>,
    ) -> Result<Kind, Fault> {
        match word {
            "if" => self.nested(tag.at, |parser| parser.if_block(tag.at, cursor)),
            "for" => self.nested(tag.at, |parser| parser.for_block(tag.at, cursor)),
            "set" => set(cursor),
            "block" | "include" | "import" | "from" | "extends" | "macro" | "call" | "filter"
            | "do" | "autoescape" | "break" | "continue" => {
                Err(Fault::forbidden(tag.at, format!("`{word}`")))
            }
            _ => {
                let (name, known) = (word.to_owned(), STATEMENTS.to_owned());
                Err(Fault::new(
                    tag.at,
                    Problem::Unknown {
                        what: "statement",
                        name,
                        known,
                    },
                ))
            }
        }
    }

    fn nested(
        &mut self,
        at: usize,
        parse: impl FnOnce(&mut Self) -> Result<Kind, Fault>,
    ) -> Result<Kind, Fault> {
        self.depth += 1;
        if self.depth > limits::BLOCK_DEPTH {
            let (what, limit) = ("levels of blocks", limits::BLOCK_DEPTH);
            return Err(Fault::new(at, Problem::TooComplex { what, limit }));
        }
        let kind = parse(self)?;
        self.depth -= 1;
        Ok(kind)
    }

    fn if_block(&mut self, at: usize, cursor: &mut Cursor<'p>) -> Result<Kind, Fault> {
        let mut branches = Vec::new();
        let mut otherwise = Body::new();
        let mut condition = expression::whole(cursor)?;
        loop {
            let (body, mut end) = self.block_body("if", at)?;
            branches.push((condition, body));
            if branches.len() > limits::BRANCHES {
                let (what, limit) = ("branches of one block", limits::BRANCHES);
                return Err(Fault::new(at, Problem::TooComplex { what, limit }));
            }
            if end.word == "elif" {
                condition = expression::whole(&mut end.cursor)?;
                continue;
            }
            end.cursor.finish()?;
            if end.word == "else" {
                otherwise = self.last_body("if", at)?;
            } else if end.word != "endif" {
                return Err(syntax(
                    end.at,
                    "expected {% endif %}, {% elif %} or {% else %}",
                ));
            }
            return Ok(Kind::If {
                branches,
                otherwise,
            });
        }
    }

    fn for_block(&mut self, at: usize, cursor: &mut Cursor<'p>) -> Result<Kind, Fault> {
        let first = expression::variable(cursor)?;
        let second = if cursor.eat(",") {
            Some(expression::variable(cursor)?)
        } else {
            None
        };
        if !cursor.eat_word("in") {
            return Err(cursor.expected("`in`"));
        }
        let source = expression::without_condition(cursor)?;
        let condition = if cursor.eat_word("if") {
            Some(expression::without_condition(cursor)?)
        } else {
            None
        };
        cursor.finish()?;
        let (key, value) = match second {
            Some(second) => (Some(first), Some(second)),
            None => (None, Some(first)),
        };
        let (body, end) = self.block_body("for", at)?;
        end.cursor.finish()?;
        let otherwise = match end.word {
            "else" => self.last_body("for", at)?,
            "endfor" => Body::new(),
            _ => return Err(syntax(end.at, "expected {% endfor %} or {% else %}")),
        };
        let style = LoopStyle::Stay;
        let each = Each {
            source,
            key,
            value,
            condition,
            style,
            body,
            otherwise,
        };
        Ok(Kind::Each(Box::new(each)))
    }

    /// A body that some tag has to end.
    fn block_body(&mut self, word: &str, at: usize) -> Result<(Body, End<'p>), Fault> {
        let (body, end) = self.body(Some((word, at)))?;
        let unclosed = || syntax(at, format!("`{word}` is not closed"));
        Ok((body, end.ok_or_else(unclosed)?))
    }

    /// The body behind `else`, which only the block's own end may close.
    fn last_body(&mut self, word: &str, at: usize) -> Result<Body, Fault> {
        let (body, end) = self.block_body(word, at)?;
        if end.word.strip_prefix("end") != Some(word) {
            return Err(syntax(end.at, format!("expected {{% end{word} %}}")));
        }
        end.cursor.finish()?;
        Ok(body)
    }
}

fn set(cursor: &mut Cursor<'_>) -> Result<Kind, Fault> {
    let name = expression::variable(cursor)?;
    if let Some(lexeme) = cursor.peek()
        && lexeme.token == Token::Operator(".")
    {
        return Err(Fault::forbidden(lexeme.at, "`set` of an attribute"));
    }
    cursor.expect("=")?;
    let value: Expr = expression::whole(cursor)?;
    let existing = false;
    Ok(Kind::Set(Assignment {
        name,
        value,
        existing,
    }))
}
