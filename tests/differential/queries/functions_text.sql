-- name: ft_upper_lower
SELECT id, upper(s) AS u, lower(s) AS l, initcap(s) AS i FROM t.words;
-- name: ft_length
SELECT id, length(s) AS a, char_length(s) AS b, octet_length(s) AS c, bit_length(s) AS d, length(c) AS e FROM t.words;
-- name: ft_concat_operator
SELECT id, s || w AS a, s || '-' || id AS b FROM t.words;
-- name: ft_concat_function
SELECT id, concat(s, w, id, NULL) AS a, concat_ws(',', s, w, v) AS b FROM t.words;
-- name: ft_concat_bpchar
SELECT id, c || '|' AS a, concat(c, '|') AS b, v || c AS d FROM t.words;
-- name: ft_substring
SELECT id, substring(s, 2) AS a, substring(s, 1, 2) AS b, substring(s, 0, 3) AS c, substring(s, -3, 5) AS d, substring(s FROM 2 FOR 1) AS e FROM t.words;
-- name: ft_substr_beyond
SELECT id, substr(s, 10, 4) AS a, substr(s, 1, 0) AS b FROM t.words;
-- name: ft_left_right
SELECT id, left(s, 2) AS a, left(s, -1) AS b, right(s, 2) AS c, right(s, -2) AS d, left(s, 0) AS e FROM t.words;
-- name: ft_position
SELECT id, position('a' IN s) AS a, strpos(s, 'B') AS b, strpos(s, '') AS c FROM t.words;
-- name: ft_replace
SELECT id, replace(s, 'a', 'Z') AS a, replace(s, ' ', '') AS b, replace(s, '', 'x') AS c FROM t.words;
-- name: ft_trim
SELECT id, trim(s) AS a, ltrim(s) AS b, rtrim(s) AS c, btrim(s, 'ax') AS d, trim(both 'a' from s) AS e FROM t.words;
-- name: ft_pad
SELECT id, lpad(s, 4, '*') AS a, rpad(s, 3) AS b, lpad(s, 2) AS c, rpad(s, 5, 'xy') AS d FROM t.words WHERE length(s) < 20;
-- name: ft_repeat_reverse
SELECT id, repeat(s, 2) AS a, reverse(s) AS b, repeat(s, 0) AS c, repeat(s, -1) AS d FROM t.words WHERE length(s) < 20;
-- name: ft_translate
SELECT id, translate(s, 'abAB', 'xy') AS a FROM t.words;
-- name: ft_split_part
SELECT id, split_part(s, ' ', 1) AS a, split_part(s, 'a', 2) AS b, split_part(s, '-', -1) AS c FROM t.words;
-- name: ft_starts_with
SELECT id FROM t.words WHERE starts_with(s, 'a') OR s ^@ 'Z';
-- name: ft_ascii_chr
SELECT id, ascii(s) AS a, chr(ascii(s) + 1) AS b FROM t.words WHERE s <> '';
-- name: ft_md5
SELECT id, md5(s) AS a, sha256(s::bytea) AS b FROM t.words WHERE s !~ '\\';
-- name: ft_regexp_replace
SELECT id, regexp_replace(s, '[aeiou]', '#', 'g') AS a, regexp_replace(s, '^(.)(.)', '\2\1') AS b FROM t.words;
-- name: ft_regexp_match
SELECT id, (regexp_match(s, '^([a-z])(.*)$'))[2] AS a, regexp_count(s, 'l') AS b, regexp_substr(s, '[0-9]+') AS c FROM t.words;
-- name: ft_format
SELECT id, format('%s-%L-%I', id, s, 'Col') AS a FROM t.words WHERE length(s) < 10;
-- name: ft_quote
SELECT id, quote_literal(s) AS a, quote_ident(v) AS b, quote_nullable(s) AS c FROM t.words WHERE id < 80;
-- name: ft_overlay
SELECT id, overlay(s placing '##' from 2 for 1) AS a FROM t.words WHERE length(s) > 1;
-- name: ft_to_char_number
SELECT id, to_char(e, '999,990.00') AS a, to_char(i4, 'FM0000') AS b FROM t.nums WHERE i4 BETWEEN -9999 AND 9999;
-- name: ft_upper_filter_group
SELECT upper(city) AS u, count(*) AS n FROM t.customers GROUP BY upper(city);
-- name: ft_encode
SELECT id, encode(b, 'base64') AS a, length(b) AS n, get_byte(b, 0) AS g FROM t.words WHERE length(b) > 0;
-- name: ft_string_to_array
SELECT sku, string_to_array(tags, ',') AS a, array_length(string_to_array(tags, ','), 1) AS n FROM t.products;
-- name: ft_similarity_chain
SELECT id, replace(lower(trim(coalesce(name, ''))), ' ', '_') AS slug FROM t.customers;
-- name: ft_casefold_join_filter
SELECT c.id, c.city FROM t.customers c WHERE lower(c.city) IN ('zürich', 'köln') AND c.city <> lower(c.city);
-- name: ft_normalize
SELECT id, normalize(s, NFD) = s AS d, normalize(s) AS c FROM t.words WHERE s <> normalize(s, NFD);
