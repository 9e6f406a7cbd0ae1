//! A pickle reader for state dictionaries only.
//!
//! Protocols 2 to 4, the instructions that `torch.save` writes for a dictionary of tensors. Names
//! in the pickle are never resolved: four kinds of callables are recognized by name, each with a
//! fixed meaning; all others are rejected.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::view::{Element, Storage, TensorView};

/// A callable that is allowed in a state dictionary.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Callable {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
}

/// A value on the reader's stack. Dictionaries and lists are in [`Reader::shared`], as an
/// instruction may add to one that is referenced elsewhere.
#[derive(Clone, Debug)]
enum Value {
    None,
    Bool,
    Int(i64),
    Float,
    Text(Rc<str>),
    Tuple(Rc<[Value]>),
    Shared(usize),
    Callable(Callable),
    Storage(Rc<Storage>),
    Tensor(Rc<TensorView>),
}

enum Shared {
    Dict(Vec<(Value, Value)>),
    List(Vec<Value>),
}

/// The tensors of a pickled state dictionary, by name. The prefix `module.` of multi-GPU training
/// is removed.
pub(super) fn state_dict(pickle: &[u8]) -> Result<BTreeMap<String, TensorView>, String> {
    let mut reader = Reader {
        bytes: pickle,
        at: 0,
        stack: vec![],
        marks: vec![],
        memo: BTreeMap::new(),
        shared: vec![],
    };
    let top = reader.run().map_err(|problem| format!("its pickle {problem}"))?;
    let not_tensors = || "it is not a dictionary of tensors by name".to_owned();
    let Value::Shared(index) = top else {
        return Err(not_tensors());
    };
    let Shared::Dict(entries) = &reader.shared[index] else {
        return Err(not_tensors());
    };
    let mut tensors = BTreeMap::new();
    for (key, value) in entries {
        let (Value::Text(name), Value::Tensor(view)) = (key, value) else {
            return Err(not_tensors());
        };
        let name = name.strip_prefix("module.").unwrap_or(name);
        tensors.insert(name.to_owned(), TensorView::clone(view));
    }
    if tensors.is_empty() { Err(not_tensors()) } else { Ok(tensors) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value>,
    shared: Vec<Shared>,
}

type PickleResult<T> = Result<T, String>;

fn malformed() -> String {
    "is malformed".to_owned()
}

impl<'a> Reader<'a> {
    fn run(&mut self) -> PickleResult<Value> {
        loop {
            let code = self.byte()?;
            match code {
                b'.' => return self.pop(),
                0x80 => match self.byte()? {
                    2..=4 => {}
                    other => return Err(format!("is of protocol {other}, not 2 to 4")),
                },
                0x95 => drop(self.take(8)?),
                b'q' | b'r' | 0x94 | b'h' | b'j' => self.memoize(code)?,
                b'(' | b')' | b't' | 0x85..=0x87 | b'}' | b']' => self.structure(code)?,
                b's' | b'u' | b'a' | b'e' => self.fill(code)?,
                b'c' | 0x93 | b'R' | b'b' | b'Q' => self.object(code)?,
                _ => self.literal(code)?,
            }
        }
    }

    fn literal(&mut self, code: u8) -> PickleResult<()> {
        let value = match code {
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool,
            b'K' => Value::Int(self.byte()?.into()),
            b'M' => Value::Int(u16::from_le_bytes(self.array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            0x8a => {
                let length = usize::from(self.byte()?);
                let digits = self.take(length)?;
                if length > 8 {
                    return Err("holds a number that is too large".into());
                }
                let sign = if digits.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
                let mut wide = [sign; 8];
                wide[..length].copy_from_slice(digits);
                Value::Int(i64::from_le_bytes(wide))
            }
            b'G' => {
                self.take(8)?;
                Value::Float
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)?
            }
            0x8c => {
                let length = self.byte()?;
                self.text(length.into())?
            }
            other => {
                return Err(format!(
                    "has an instruction that no state dictionary needs (0x{other:02x} at byte {})",
                    self.at - 1
                ));
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn memoize(&mut self, code: u8) -> PickleResult<()> {
        let index = match code {
            b'q' | b'h' => self.byte()?.into(),
            0x94 => u32::try_from(self.memo.len()).map_err(|_| malformed())?,
            _ => u32::from_le_bytes(self.array()?),
        };
        if matches!(code, b'h' | b'j') {
            let value = self.memo.get(&index).ok_or_else(malformed)?.clone();
            self.stack.push(value);
        } else {
            let value = self.stack.last().ok_or_else(malformed)?.clone();
            self.memo.insert(index, value);
        }
        Ok(())
    }

    fn structure(&mut self, code: u8) -> PickleResult<()> {
        let value = match code {
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            b')' => Value::Tuple(Rc::new([])),
            b't' => Value::Tuple(self.since_mark()?.into()),
            0x85..=0x87 => {
                let length = usize::from(code - 0x84);
                let from = self.stack.len().checked_sub(length).ok_or_else(malformed)?;
                Value::Tuple(self.stack.split_off(from).into())
            }
            b'}' => self.share(Shared::Dict(vec![])),
            _ => self.share(Shared::List(vec![])),
        };
        self.stack.push(value);
        Ok(())
    }

    fn fill(&mut self, code: u8) -> PickleResult<()> {
        let items = match code {
            b'u' | b'e' => self.since_mark()?,
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => vec![self.pop()?],
        };
        let Some(Value::Shared(index)) = self.stack.last() else {
            return Err(malformed());
        };
        match (&mut self.shared[*index], code) {
            (Shared::Dict(entries), b's' | b'u') if items.len() % 2 == 0 => {
                let mut items = items.into_iter();
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    entries.push((key, value));
                }
            }
            (Shared::List(list), b'a' | b'e') => list.extend(items),
            _ => return Err(malformed()),
        }
        Ok(())
    }

    fn object(&mut self, code: u8) -> PickleResult<()> {
        let value = match code {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                Value::Callable(find_callable(&module, &name)?)
            }
            0x93 => {
                let (Value::Text(name), Value::Text(module)) = (self.pop()?, self.pop()?) else {
                    return Err(malformed());
                };
                Value::Callable(find_callable(&module, &name)?)
            }
            b'Q' => {
                let id = self.pop()?;
                Value::Storage(Rc::new(storage(&id).ok_or("refers to something but a storage")?))
            }
            b'R' => {
                let (Value::Tuple(arguments), Value::Callable(callable)) =
                    (self.pop()?, self.pop()?)
                else {
                    return Err(malformed());
                };
                self.call(callable, &arguments)?
            }
            _ => {
                // The attributes of a dictionary (`_metadata`): versions of layers, no numbers.
                self.pop()?;
                let Some(Value::Shared(_)) = self.stack.last() else {
                    return Err(malformed());
                };
                return Ok(());
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn call(&mut self, callable: Callable, arguments: &[Value]) -> PickleResult<Value> {
        match (callable, arguments) {
            (Callable::OrderedDict, []) => Ok(self.share(Shared::Dict(vec![]))),
            (
                Callable::RebuildTensor,
                [Value::Storage(storage), Value::Int(offset), dims, strides, ..],
            ) => {
                let view = TensorView::new(
                    storage,
                    usize::try_from(*offset).map_err(|_| malformed())?,
                    sizes(dims)?,
                    sizes(strides)?,
                );
                let view = view.ok_or("describes a tensor that reaches beyond its storage")?;
                Ok(Value::Tensor(Rc::new(view)))
            }
            (Callable::RebuildParameter, [Value::Tensor(view), ..]) => {
                Ok(Value::Tensor(view.clone()))
            }
            _ => Err(malformed()),
        }
    }

    fn share(&mut self, shared: Shared) -> Value {
        self.shared.push(shared);
        Value::Shared(self.shared.len() - 1)
    }

    fn since_mark(&mut self) -> PickleResult<Vec<Value>> {
        let mark = self.marks.pop().ok_or_else(malformed)?;
        if mark > self.stack.len() {
            return Err(malformed());
        }
        Ok(self.stack.split_off(mark))
    }

    fn pop(&mut self) -> PickleResult<Value> {
        self.stack.pop().ok_or_else(malformed)
    }

    fn take(&mut self, count: usize) -> PickleResult<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or("ends in the middle")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> PickleResult<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("took N bytes"))
    }

    fn byte(&mut self) -> PickleResult<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn text(&mut self, length: usize) -> PickleResult<Value> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| malformed())?;
        Ok(Value::Text(text.into()))
    }

    fn line(&mut self) -> PickleResult<String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&b| b == b'\n').ok_or_else(malformed)?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }
}

fn find_callable(module: &str, name: &str) -> PickleResult<Callable> {
    match (module, name) {
        ("collections", "OrderedDict") => Ok(Callable::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2") => Ok(Callable::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => Ok(Callable::RebuildParameter),
        ("torch", storage) if Element::from_storage(storage).is_some() => {
            Ok(Callable::Storage(Element::from_storage(storage).ok_or_else(malformed)?))
        }
        _ => Err(format!(
            "names `{module}.{name}`, which is not needed for weights and is never run; \
             save the network's state_dict() instead"
        )),
    }
}

/// `('storage', type, key, device, count)`.
fn storage(id: &Value) -> Option<Storage> {
    let Value::Tuple(parts) = id else { return None };
    let [
        Value::Text(word),
        Value::Callable(Callable::Storage(element)),
        Value::Text(key),
        Value::Text(_),
        Value::Int(count),
    ] = &**parts
    else {
        return None;
    };
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric());
    let count = usize::try_from(*count).ok()?;
    (&**word == "storage" && plain).then(|| Storage {
        element: *element,
        key: key.to_string(),
        count,
    })
}

fn sizes(value: &Value) -> PickleResult<Vec<usize>> {
    let Value::Tuple(sizes) = value else {
        return Err(malformed());
    };
    let size = |value: &Value| match value {
        Value::Int(n) => usize::try_from(*n).map_err(|_| malformed()),
        _ => Err(malformed()),
    };
    sizes.iter().map(size).collect()
}
