-- One cell as text that says exactly what it holds (an expression of SQLite's).
-- SQLite's own text of a number stops at 15 digits, at which two different numbers may look the same. Bytes are told as
-- bytes: for a reader they are not the text that they spell.
CASE typeof({column})
    WHEN 'real' THEN printf('%!.17g', {column})
    WHEN 'blob' THEN 'x''' || hex({column}) || ''''
    ELSE {column}
END
