namespace Trainer.Configuration;

/// <summary>One thing that is wrong with a configuration.</summary>
/// <param name="Path">Where: dotted camelCase names and list indices, such as <c>model.attention.heads</c>;
/// relative to the record that reports it until the loader has put the record's own path in front.</param>
/// <param name="Message">What was found, what is allowed, and how to mend it, in one sentence.</param>
public sealed record Problem(string Path, string Message);
