// Reading JSON with jansson. Only fixed-width types stand here, because Swift for the firmware
// imports this header without any C library headers.
#pragma once

#include <stddef.h>
#include <stdint.h>

/// A value owned by the document it was found in.
typedef struct cjansson_value cjansson_value;
/// A place in the members of an object.
typedef struct cjansson_iterator cjansson_iterator;

enum cjansson_kind {
  cjansson_object = 0,
  cjansson_array,
  cjansson_string,
  cjansson_integer,
  cjansson_real,
  cjansson_true,
  cjansson_false,
  cjansson_null,
};

/// Where and why a text is not JSON.
typedef struct cjansson_failure {
  /// Byte offset of the offending token, or of the end of the text.
  size_t offset;
  /// Bytes written to the caller's message buffer.
  size_t message_length;
} cjansson_failure;

/// Parses one JSON value; a key that stands twice in an object is an error. NULL on failure, with
/// `failure` filled and the reason in `message`. Nesting is limited to 2,048 levels by jansson.
cjansson_value *cjansson_parse(const void *bytes, size_t count, cjansson_failure *failure,
                               uint8_t *message, size_t message_capacity);
/// Gives a document back, with every value in it.
void cjansson_release(cjansson_value *document);

int32_t cjansson_kind_of(const cjansson_value *value);
/// 0 when `value` is no integer.
int64_t cjansson_integer_value(const cjansson_value *value);
/// The UTF-8 bytes of a string, not terminated; NULL when `value` is no string.
const uint8_t *cjansson_string_bytes(const cjansson_value *value, size_t *count);

/// The value as JSON, at most `capacity` bytes of it; returns how many there are. `indent`: spaces
/// for each level; 0: all on one line.
size_t cjansson_text(const cjansson_value *value, size_t indent, uint8_t *bytes, size_t capacity);

/// Elements of an array or members of an object, 0 for anything else.
size_t cjansson_count(const cjansson_value *value);
/// NULL beyond the end.
const cjansson_value *cjansson_element(const cjansson_value *array, size_t index);

/// Members in the order of the text. NULL after the last one.
cjansson_iterator *cjansson_first_member(const cjansson_value *object);
cjansson_iterator *cjansson_next_member(const cjansson_value *object, cjansson_iterator *place);
const uint8_t *cjansson_member_key(cjansson_iterator *place, size_t *count);
const cjansson_value *cjansson_member_value(cjansson_iterator *place);
