#include "common/pki/trust.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>

#include "common/pki/authority.hpp"

namespace germline::pki {
namespace {

TEST_CASE("a key that is taken out of the file is given up, and one that never was in it unknown") {
  std::string folder = "/tmp/germline-trust-XXXXXX";
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  const auto path = folder + "/ca.crt";
  const manual_clock time;
  const auto one = *std::move(*authority::make(folder + "/one", time))->ca_pem();
  const auto two = *std::move(*authority::make(folder + "/two", time))->ca_pem();
  REQUIRE(write_file(path, one, 0644));
  trust at(path);
  CHECK(*at.of(*key_id_of(one)) == trust::standing::believed);
  CHECK(*at.of(*key_id_of(two)) == trust::standing::unknown);
  CHECK(*at.of("") == trust::standing::unknown);
  // Without the end of the last line, as some editors leave it.
  REQUIRE(write_file(path, two + one.substr(0, one.size() - 1), 0644));
  CHECK(*at.of(*key_id_of(one)) == trust::standing::believed);
  CHECK(*at.of(*key_id_of(two)) == trust::standing::believed);
  REQUIRE(write_file(path, two, 0644));
  CHECK(*at.of(*key_id_of(one)) == trust::standing::given_up);
  CHECK(*at.of(*key_id_of(two)) == trust::standing::believed);
  std::filesystem::remove(path);
  CHECK_FALSE(at.of(*key_id_of(two)));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace germline::pki
