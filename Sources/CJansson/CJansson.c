#include "CJansson.h"

#include <jansson.h>
#include <string.h>

static json_t *json(const cjansson_value *value) { return (json_t *)(uintptr_t)value; }

/// jansson points behind the token it names in its message; people look for its beginning.
static size_t token_length(const char *text) {
  const char *near = strstr(text, " near '");
  if (near == NULL) return 0;
  near += strlen(" near '");
  const char *end = strrchr(near, '\'');
  return end == NULL ? 0 : (size_t)(end - near);
}

cjansson_value *cjansson_parse(const void *bytes, size_t count, cjansson_failure *failure,
                               uint8_t *message, size_t message_capacity) {
  json_error_t error;
  json_t *value =
      json_loadb(bytes, count, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
  if (value != NULL) return (cjansson_value *)value;

  size_t offset = error.position < 0 ? 0 : (size_t)error.position;
  size_t back = token_length(error.text);
  if (offset > count) offset = count;
  failure->offset = offset >= back ? offset - back : 0;
  size_t length = strlen(error.text);
  if (length > message_capacity) length = message_capacity;
  memcpy(message, error.text, length);
  failure->message_length = length;
  return NULL;
}

void cjansson_release(cjansson_value *document) { json_decref((json_t *)document); }

int32_t cjansson_kind_of(const cjansson_value *value) {
  switch (json_typeof(json(value))) {
    case JSON_OBJECT: return cjansson_object;
    case JSON_ARRAY: return cjansson_array;
    case JSON_STRING: return cjansson_string;
    case JSON_INTEGER: return cjansson_integer;
    case JSON_REAL: return cjansson_real;
    case JSON_TRUE: return cjansson_true;
    case JSON_FALSE: return cjansson_false;
    case JSON_NULL: return cjansson_null;
  }
  return cjansson_null;
}

int64_t cjansson_integer_value(const cjansson_value *value) {
  return json_integer_value(json(value));
}

const uint8_t *cjansson_string_bytes(const cjansson_value *value, size_t *count) {
  *count = json_string_length(json(value));
  return (const uint8_t *)json_string_value(json(value));
}

size_t cjansson_text(const cjansson_value *value, size_t indent, uint8_t *bytes, size_t capacity) {
  return json_dumpb(json(value), (char *)bytes, capacity,
                    (indent == 0 ? JSON_COMPACT : JSON_INDENT(indent)) | JSON_ENCODE_ANY);
}

size_t cjansson_count(const cjansson_value *value) {
  return json_is_object(json(value)) ? json_object_size(json(value))
                                     : json_array_size(json(value));
}

const cjansson_value *cjansson_element(const cjansson_value *array, size_t index) {
  return (const cjansson_value *)json_array_get(json(array), index);
}

cjansson_iterator *cjansson_first_member(const cjansson_value *object) {
  return json_object_iter(json(object));
}

cjansson_iterator *cjansson_next_member(const cjansson_value *object, cjansson_iterator *place) {
  return json_object_iter_next(json(object), place);
}

const uint8_t *cjansson_member_key(cjansson_iterator *place, size_t *count) {
  *count = json_object_iter_key_len(place);
  return (const uint8_t *)json_object_iter_key(place);
}

const cjansson_value *cjansson_member_value(cjansson_iterator *place) {
  return (const cjansson_value *)json_object_iter_value(place);
}
