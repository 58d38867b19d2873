#include "worker/node/wire_texts.hpp"

#include <google/protobuf/descriptor.h>

#include <vector>

#include "common/text/utf8.hpp"

namespace germline::worker {

void make_texts_valid(google::protobuf::Message& message) {
  using google::protobuf::FieldDescriptor;
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const auto* field : fields) {
    const bool is_text = field->type() == FieldDescriptor::TYPE_STRING;
    const bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (is_text && field->is_repeated()) {
        reflection.SetRepeatedString(&message, field, i,
                                     valid_utf8(reflection.GetRepeatedString(message, field, i)));
      } else if (is_text) {
        reflection.SetString(&message, field, valid_utf8(reflection.GetString(message, field)));
      } else if (is_message && field->is_repeated()) {
        make_texts_valid(*reflection.MutableRepeatedMessage(&message, field, i));
      } else if (is_message) {
        make_texts_valid(*reflection.MutableMessage(&message, field));
      }
    }
  }
}

bool make_sendable(v1::AttemptResult& result) {
  make_texts_valid(result);
  if (result.ByteSizeLong() > result_bytes_max) result.clear_tests();
  return result.ByteSizeLong() <= result_bytes_max;
}

}  // namespace germline::worker
