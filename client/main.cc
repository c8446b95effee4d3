#include "client/run.h"

int main(int argc, char** argv) { return cogwheel::RunClient(argc, argv); }
