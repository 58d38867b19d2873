#include "common/git/repository_impl.hpp"

namespace germline::git {
namespace {

error moved(const std::string& ref, const std::string& expected) {
  return {error_code::failed_precondition,
          "the ref " + ref +
              (expected == zero_oid ? " exists already" : " is no longer at " + expected)};
}

}  // namespace

result<std::optional<std::string>> repository::resolve(const std::string& ref) const {
  git_oid id;
  const int status = git_reference_name_to_id(&id, impl_->repo.get(), ref.c_str());
  if (status == GIT_ENOTFOUND) return std::optional<std::string>();
  if (status != 0) return git_error("reading the ref " + ref, status);
  return std::optional<std::string>(from_git(id).hex());
}

result<void> repository::update_ref(const std::string& ref, const std::string& new_target,
                                    const std::string& old_target, const std::string& message) {
  GERMLINE_TRY_ASSIGN(const auto target, oid::parse(new_target));
  GERMLINE_TRY_ASSIGN(const auto old_id, oid::parse(old_target));
  if (!impl_->has(target)) {
    return error(error_code::not_found, "there is no object " + new_target + " for " + ref);
  }
  git_reference* raw = nullptr;
  const auto to = to_git(target);
  const auto from = to_git(old_id);
  const int status = git_reference_create_matching(&raw, impl_->repo.get(), ref.c_str(), &to, 1,
                                                   &from, message.c_str());
  const reference_handle made(raw);
  if (status == GIT_EMODIFIED || status == GIT_EEXISTS || status == GIT_ENOTFOUND) {
    return moved(ref, old_target);
  }
  if (status != 0) return git_error("moving the ref " + ref, status);
  return {};
}

result<void> repository::delete_ref(const std::string& ref, const std::string& old_target) {
  git_reference* raw = nullptr;
  int status = git_reference_lookup(&raw, impl_->repo.get(), ref.c_str());
  if (status == GIT_ENOTFOUND) return {};
  if (status != 0) return git_error("reading the ref " + ref, status);
  const reference_handle found(raw);
  const auto* target = git_reference_target(raw);
  if (target == nullptr || from_git(*target).hex() != old_target) return moved(ref, old_target);
  status = git_reference_delete(raw);
  if (status == GIT_EMODIFIED) return moved(ref, old_target);
  if (status != 0 && status != GIT_ENOTFOUND) return git_error("deleting the ref " + ref, status);
  return {};
}

result<std::vector<ref_info>> repository::list_refs(const std::string& prefix) const {
  git_reference_iterator* raw = nullptr;
  if (const int status = git_reference_iterator_new(&raw, impl_->repo.get()); status != 0) {
    return git_error("listing refs", status);
  }
  const ref_iterator_handle iterator(raw);
  std::vector<ref_info> refs;
  for (;;) {
    git_reference* next = nullptr;
    const int status = git_reference_next(&next, raw);
    if (status == GIT_ITEROVER) break;
    if (status != 0) return git_error("listing refs", status);
    const reference_handle ref(next);
    const std::string name = git_reference_name(next);
    const auto* target = git_reference_target(next);
    if (target != nullptr && name.starts_with(prefix)) {
      refs.push_back({name, from_git(*target).hex()});
    }
  }
  return refs;
}

result<void> repository::set_head(const std::string& ref) {
  if (const int status = git_repository_set_head(impl_->repo.get(), ref.c_str()); status != 0) {
    return git_error("pointing HEAD at " + ref, status);
  }
  return {};
}

}  // namespace germline::git
