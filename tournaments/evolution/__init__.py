"""Evolution: variants of the strategies, proposed after hours, judged against luck, shadowed, entered, promoted."""
