using Trainer.Configuration;
using Trainer.Data;
using Trainer.Inference;

namespace Trainer.Evaluation.Evaluators;

/// <summary>Checks prompts before a run.</summary>
public static class Prompts
{
    /// <summary>What is wrong with those that cannot be continued.</summary>
    /// <param name="generator">What will continue them.</param>
    /// <param name="prompts">The prompts.</param>
    /// <param name="path">The path of their list.</param>
    public static IEnumerable<Problem> Check(TextGenerator generator, IReadOnlyList<string> prompts, string path) =>
        prompts.Select((prompt, index) => Complaint(generator, prompt) is { } complaint ? new Problem($"{path}.{index}", complaint) : null).OfType<Problem>();

    private static string? Complaint(TextGenerator generator, string prompt)
    {
        try
        {
            generator.Encode(prompt);
            return null;
        }
        catch (Exception error) when (error is UserException or EncodingException)
        {
            return error.Message;
        }
    }
}
