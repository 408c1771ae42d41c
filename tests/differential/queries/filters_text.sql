-- name: text_eq
SELECT id, s FROM t.words WHERE s = 'a';
-- name: text_eq_upper
SELECT id, s FROM t.words WHERE s = 'A';
-- name: text_eq_trailing_blank
SELECT id, s FROM t.words WHERE s = 'a ';
-- name: text_eq_two_blanks
SELECT id FROM t.words WHERE s = 'a  ' OR s = ' a';
-- name: text_eq_empty
SELECT id, s FROM t.words WHERE s = '';
-- name: text_eq_one_blank
SELECT id, s FROM t.words WHERE s = ' ';
-- name: text_eq_accent
SELECT id, s FROM t.words WHERE s = 'á';
-- name: text_eq_sharp_s
SELECT id, s FROM t.words WHERE s IN ('ß', 'straße');
-- name: text_eq_ss
SELECT id, s FROM t.words WHERE s = 'ss';
-- name: text_eq_decomposed
SELECT id, s FROM t.words WHERE s = U&'e\0301';
-- name: text_eq_composed
SELECT id, s FROM t.words WHERE s = 'é';
-- name: text_eq_emoji
SELECT id, s FROM t.words WHERE s = '😀';
-- name: text_eq_column
SELECT id, s, w FROM t.words WHERE s = w;
-- name: text_ne
SELECT id, s FROM t.words WHERE s <> 'a';
-- name: text_ne_column
SELECT id, s, w FROM t.words WHERE s <> w;
-- name: text_not_eq_or_null
SELECT id FROM t.words WHERE NOT (s = 'A' OR w = 'a');
-- name: text_in
SELECT id, s FROM t.words WHERE s IN ('a', 'B', 'é', '', '😁');
-- name: text_not_in
SELECT id, s FROM t.words WHERE s NOT IN ('a', 'B', 'é', '');
-- name: text_not_in_null
-- empty
SELECT id, s FROM t.words WHERE s NOT IN ('a', NULL);
-- name: text_in_null
SELECT id, s FROM t.words WHERE s IN ('a', NULL);
-- name: text_less
SELECT id, s FROM t.words WHERE s < 'B';
-- name: text_greater_equal
SELECT id, s FROM t.words WHERE s >= 'a';
-- name: text_between
SELECT id, s FROM t.words WHERE s BETWEEN 'A' AND 'a';
-- name: text_not_between
SELECT id, s FROM t.words WHERE s NOT BETWEEN 'a' AND 'z';
-- name: text_between_symmetric
SELECT id, s FROM t.words WHERE s BETWEEN SYMMETRIC 'b' AND 'B';
-- name: text_above_bmp
SELECT id, s FROM t.words WHERE s > U&'\E000';
-- name: text_less_column
SELECT id, s, w FROM t.words WHERE s < w AND w < 'b';
-- name: text_like_prefix
SELECT id, s FROM t.words WHERE s LIKE 'a%';
-- name: text_like_upper_prefix
SELECT id, s FROM t.words WHERE s LIKE 'A%';
-- name: text_like_underscore
SELECT id, s FROM t.words WHERE s LIKE 'a_b';
-- name: text_like_escaped_underscore
SELECT id, s FROM t.words WHERE s LIKE 'a\_b';
-- name: text_like_escaped_percent
SELECT id, s FROM t.words WHERE s LIKE 'a\%b' OR s LIKE '100\%';
-- name: text_like_own_escape
SELECT id, s FROM t.words WHERE s LIKE 'a#%b' ESCAPE '#';
-- name: text_like_no_escape
SELECT id, s FROM t.words WHERE s LIKE 'a\%' ESCAPE '';
-- name: text_like_backslash
SELECT id, s FROM t.words WHERE s LIKE 'a\\%';
-- name: text_like_bracket
SELECT id, s FROM t.words WHERE s LIKE '[a-z]' OR s LIKE '[%';
-- name: text_like_blank_end
SELECT id, s FROM t.words WHERE s LIKE 'a ';
-- name: text_like_accent
SELECT id, s FROM t.words WHERE s LIKE '%é%' OR s LIKE '%É';
-- name: text_like_one_char
SELECT id, s FROM t.words WHERE s LIKE '_';
-- name: text_like_all
SELECT id FROM t.words WHERE s LIKE '%';
-- name: text_like_newline
SELECT id, s FROM t.words WHERE s LIKE 'a_b' AND s LIKE E'a\n%';
-- name: text_not_like
SELECT id, s FROM t.words WHERE s NOT LIKE 'a%' AND s NOT LIKE '%B';
-- name: text_like_column_pattern
SELECT x.id, y.id AS pattern FROM t.words x, t.words y WHERE y.s IN ('a%b', 'a_b', '_') AND x.s LIKE y.s;
-- name: text_ilike
SELECT id, s FROM t.words WHERE s ILIKE 'A%b';
-- name: text_ilike_accent
SELECT id, s FROM t.words WHERE s ILIKE 'É' OR s ILIKE 'ä%';
-- name: text_not_ilike
SELECT id FROM t.words WHERE s NOT ILIKE '%a%';
-- name: text_regex
SELECT id, s FROM t.words WHERE s ~ '^[a-z]+$';
-- name: text_regex_case_insensitive
SELECT id, s FROM t.words WHERE s ~* '^AB?$';
-- name: text_regex_not
SELECT id FROM t.words WHERE s !~ '[[:alpha:]]';
-- name: text_regex_lookahead
SELECT id, s FROM t.words WHERE s ~ '^(?!a).*b$';
-- name: text_regex_back_reference
SELECT id, s FROM t.words WHERE s ~ '(.)\1';
-- name: text_similar
SELECT id, s FROM t.words WHERE s SIMILAR TO 'a%|(s|S){2}';
-- name: text_not_similar
SELECT id FROM t.words WHERE s NOT SIMILAR TO '%[0-9]%';
-- name: text_is_null
SELECT id FROM t.words WHERE s IS NULL;
-- name: text_is_not_null_or_empty
SELECT id FROM t.words WHERE s IS NOT NULL AND s <> '';
-- name: text_distinct_from
SELECT id, s, w FROM t.words WHERE s IS DISTINCT FROM w AND id < 60;
-- name: text_not_distinct_from
SELECT id, s, w FROM t.words WHERE s IS NOT DISTINCT FROM w;
-- name: text_bpchar_eq
SELECT id, c FROM t.words WHERE c = 'a';
-- name: text_bpchar_eq_blank
SELECT id, c, length(c) AS n FROM t.words WHERE c = 'a  ';
-- name: text_bpchar_like
SELECT id, c FROM t.words WHERE c LIKE 'a %';
-- name: text_bpchar_range
SELECT id, c FROM t.words WHERE c < 'b' AND c >= 'A';
-- name: text_bpchar_vs_text
SELECT id, c, w FROM t.words WHERE c = w;
-- name: text_varchar_eq
SELECT id, v FROM t.words WHERE v = 'a ' OR v = 'AB';
-- name: text_varchar_vs_text
SELECT id, v FROM t.words WHERE v = s;
-- name: text_upper_eq
SELECT id, s FROM t.words WHERE upper(s) = 'A' OR upper(s) = 'É';
-- name: text_lower_eq
SELECT id, s FROM t.words WHERE lower(s) = 'ab' OR lower(s) = 'ж';
-- name: text_length_filter
SELECT id, s FROM t.words WHERE length(s) = 2;
-- name: text_collate_c
SELECT id, s FROM t.words WHERE s COLLATE "C" > 'Z';
-- name: text_any_array
SELECT id, s FROM t.words WHERE s = ANY (ARRAY['a', 'SS', 'ß', NULL]);
-- name: text_all_array
SELECT id FROM t.words WHERE s <> ALL (ARRAY['a', 'b']);
-- name: text_or_mixed
SELECT id, name FROM t.customers WHERE name = 'a' OR city = 'Zurich' OR rank > 11;
-- name: text_and_range
SELECT id, city FROM t.customers WHERE city >= 'M' AND city <= 'Z' AND vip;
-- name: text_many_in
SELECT id, code FROM t.customers WHERE code IN ('K01', 'k01', 'K02', 'K07é', 'K07e', 'K14é', 'K03 ', 'K04', 'K05', 'K06', 'K08', 'K09');
-- name: text_bpchar2_in
SELECT id, country FROM t.customers WHERE country IN ('DE', 'N', 'us');
-- name: text_quotes
SELECT id, s FROM t.words WHERE s = 'a''b' OR s = 'a"b' OR s = E'a\\b' OR s = 'O''Brien';
-- name: text_bytea_eq
SELECT id, b FROM t.words WHERE b = '\x' OR b < '\x20';
-- name: text_row_compare
SELECT id, s, w FROM t.words WHERE (s, w) < ('a', 'b') AND s > 'Z';
-- name: text_row_in
SELECT id FROM t.customers WHERE (city, country) IN (('Paris', 'FR'), ('Zurich', 'DE'), ('paris', 'us'), ('Köln', 'DE'), ('', 'CH'));
