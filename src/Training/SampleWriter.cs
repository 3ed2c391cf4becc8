using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Scheduled;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Reporting.Monitoring;

namespace Trainer.Training;

/// <summary>Has the model continue the prompts of <c>monitoring.samples</c> during training, or answer them, where it learns conversations.
/// </summary>
internal sealed class SampleWriter
{
    /// <summary>A little sharper than the model's own distribution: unlikely tokens early on derail a short text.</summary>
    private static readonly SamplingOptions Sampling = new() { Temperature = 0.8, TopP = 0.95 };

    private const int Tokens = 200;

    private readonly TextGenerator generator;
    private readonly IReadOnlyList<string> prompts;
    private readonly GenerationOptions options;

    public SampleWriter(TrainState state, Tokenizer tokenizer, Recipe recipe)
    {
        generator = new TextGenerator(
            (LanguageModel)state.Model, tokenizer, state.Device, EndOfText.Of(tokenizer, recipe.Data.EndOfDocument),
            chat: ConversationTemplate.Of(recipe.Data)?.Template,
            special: recipe.Model is EncoderDecoderOptions ? SequenceTokens.Of(tokenizer, recipe.Data) : null);
        options = new GenerationOptions { Tokens = Tokens, Sampling = Sampling with { Seed = recipe.Seed } };
        prompts = recipe.Monitoring.Samples;
        Problem[] problems = [.. Prompts.Check(generator, prompts, "monitoring.samples")];
        if (problems.Length > 0) throw new ConfigurationException(problems);
    }

    /// <summary>Continues every prompt, with a random state of its own: training is the same with samples and without.</summary>
    public void Write(long step, IMetricsSink sink)
    {
        foreach (string prompt in prompts) sink.Sample(step, prompt, string.Concat(generator.Stream(prompt, options)));
    }
}
