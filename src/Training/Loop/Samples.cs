using Trainer.Configuration;
using Trainer.Data;
using Trainer.Evaluation.Evaluators;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Reporting.Monitoring;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>Texts that the model continues while it is trained, to be read by people.</summary>
internal sealed class Samples
{
    /// <summary>A little sharper than the model's own distribution: unlikely tokens early on derail a short text.</summary>
    private static readonly SamplingOptions Drawing = new() { Temperature = 0.8, TopP = 0.95 };

    private const int Tokens = 200;

    private readonly TextGenerator generator;
    private readonly IReadOnlyList<string> prompts;
    private readonly GenerationOptions options;

    /// <summary>Checks that every prompt can be continued.</summary>
    /// <exception cref="ConfigurationException">A prompt cannot; the message says which and why.</exception>
    public Samples(LanguageModel model, Tokenizer tokenizer, Device device, IReadOnlyList<string> prompts, long seed, int? end = null)
    {
        generator = new TextGenerator(model, tokenizer, device, end);
        options = new GenerationOptions { Tokens = Tokens, Sampling = Drawing with { Seed = seed } };
        this.prompts = prompts;
        Problem[] problems = [.. Prompts.Check(generator, prompts, "monitoring.samples")];
        if (problems.Length > 0) throw new ConfigurationException(problems);
    }

    /// <summary>Continues every prompt. Draws from numbers of its own: training is the same with samples and without.</summary>
    public void Write(long step, IMetricsSink sink)
    {
        foreach (string prompt in prompts) sink.Sample(step, prompt, string.Concat(generator.Stream(prompt, options)));
    }
}
