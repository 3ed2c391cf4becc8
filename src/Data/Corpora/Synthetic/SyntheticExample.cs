namespace Trainer.Data;

/// <summary>A question and its only right answer.</summary>
/// <param name="Prompt">What is given, up to where the answer begins.</param>
/// <param name="Answer">What is to be written.</param>
internal readonly record struct SyntheticExample(string Prompt, string Answer);
