// Reads JSON, as much as the vectors need.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

struct Json {
  enum Kind { null, boolean, number, text, list, object } kind = null;
  bool truth = false;
  double value = 0;
  std::string string;
  std::vector<Json> items;
  std::map<std::string, Json> members;

  const Json& operator[](const std::string& name) const {
    static const Json nothing;
    auto found = members.find(name);
    return found == members.end() ? nothing : found->second;
  }
  bool present() const { return kind != null; }
  uint64_t integer() const {
    return kind == text ? strtoull(string.c_str(), nullptr, 0) : uint64_t(int64_t(value));
  }

  static Json file(const std::string& path) {
    FILE* file = fopen(path.c_str(), "rb");
    if (!file) {
      fprintf(stderr, "cannot read %s\n", path.c_str());
      exit(2);
    }
    std::string all;
    char buffer[65536];
    for (size_t count; (count = fread(buffer, 1, sizeof buffer, file)) > 0;)
      all.append(buffer, count);
    fclose(file);
    const char* at = all.c_str();
    return parse(at);
  }

 private:
  static void skip(const char*& at) {
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') at++;
  }
  static std::string quoted(const char*& at) {
    std::string result;
    for (at++; *at && *at != '"'; at++) {
      if (*at == '\\' && at[1]) at++;
      result += *at;
    }
    if (*at) at++;
    return result;
  }
  static Json parse(const char*& at) {
    Json json;
    skip(at);
    if (*at == '{') {
      json.kind = object;
      for (at++, skip(at); *at && *at != '}'; skip(at)) {
        std::string name = quoted(at);
        skip(at);
        if (*at == ':') at++;
        json.members[name] = parse(at);
        skip(at);
        if (*at == ',') at++;
      }
      if (*at) at++;
    } else if (*at == '[') {
      json.kind = list;
      for (at++, skip(at); *at && *at != ']'; skip(at)) {
        json.items.push_back(parse(at));
        skip(at);
        if (*at == ',') at++;
      }
      if (*at) at++;
    } else if (*at == '"') {
      json.kind = text;
      json.string = quoted(at);
    } else if (*at == 't' || *at == 'f') {
      json.kind = boolean;
      json.truth = *at == 't';
      at += json.truth ? 4 : 5;
    } else if (*at == 'n') {
      at += 4;
    } else {
      json.kind = number;
      char* end;
      json.value = strtod(at, &end);
      at = end > at ? end : at + 1;
    }
    return json;
  }
};

inline std::vector<uint8_t> bytesOf(const std::string& hex) {
  std::vector<uint8_t> bytes(hex.size() / 2);
  for (size_t index = 0; index < bytes.size(); index++)
    bytes[index] = uint8_t(strtoul(hex.substr(2 * index, 2).c_str(), nullptr, 16));
  return bytes;
}
