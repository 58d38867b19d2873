#include "files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace agent {

namespace fs = std::filesystem;

constexpr std::uintmax_t max_file_bytes = 16 << 20;

result<std::string> read_file(const fs::path& path) {
  std::error_code code;
  if (!fs::exists(path, code)) return error{path.string() + " does not exist"};
  if (!fs::is_regular_file(path, code)) return error{path.string() + " is not a regular file"};
  if (fs::file_size(path, code) > max_file_bytes) {
    return error{path.string() + " is larger than 16 MiB; look at it with bash"};
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return error{path.string() + " cannot be read"};
  return std::string(std::istreambuf_iterator<char>(in), {});
}

result<bool> write_file(const fs::path& path, std::string_view bytes) {
  std::error_code code;
  fs::path target = path;
  if (fs::is_symlink(path, code)) target = fs::weakly_canonical(path, code);
  if (target.has_parent_path()) {
    fs::create_directories(target.parent_path(), code);
    if (code) return error{"cannot make " + target.parent_path().string() + ": " + code.message()};
  }
  fs::path fresh = target;
  fresh += ".new-" + std::to_string(getpid());
  {
    std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.flush();
    if (!out) {
      fs::remove(fresh, code);
      return error{"cannot write " + fresh.string()};
    }
  }
  struct stat was {};
  if (stat(target.c_str(), &was) == 0) chmod(fresh.c_str(), was.st_mode & 07777);
  fs::rename(fresh, target, code);
  if (code) {
    const auto why = code.message();
    fs::remove(fresh, code);
    return error{"cannot write " + target.string() + ": " + why};
  }
  return true;
}

}  // namespace agent
