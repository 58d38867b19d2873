// A value, or the reason why there is none. Used where the world may fail (files, processes, the
// model); it does not replace assertions.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace agent {

struct error {
  std::string message;
};

template <class T>
class result {
 public:
  result(T value) : state_(std::move(value)) {}
  result(error why) : state_(std::move(why)) {}

  explicit operator bool() const { return state_.index() == 0; }
  /// Requires: there is a value.
  T& operator*() { return std::get<0>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  /// Requires: there is none.
  const std::string& why() const { return std::get<1>(state_).message; }

 private:
  std::variant<T, error> state_;
};

}  // namespace agent
