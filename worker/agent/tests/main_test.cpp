// The doctest runner. A run in which no case was selected is an error, not a success.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
