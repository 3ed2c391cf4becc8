// Shapes: B sequences, V vocabulary.
using TorchSharp;
using Trainer.Inference.Paging;
using Trainer.Inference.Serving;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>A prompt of token ids, and the seed of each of its completions.</summary>
public sealed record CompletionRequest(IReadOnlyList<int> Prompt, IReadOnlyList<long> Seeds);

/// <summary>Continues many prompts, each several times, through the batch decoder: a prompt is read once, then its completions go on side
/// by side, and others take the places of those that end.</summary>
/// <remarks>A completion depends on the weights, its prompt and its seed, and with the decoder for CPUs not on what is decoded beside it.
/// Nothing is drawn from libtorch's generators. Not thread-safe.</remarks>
/// <param name="model">Its weights are read anew by each <see cref="Sample"/>.</param>
/// <param name="device">Where it is.</param>
/// <param name="tokens">Ids from here on are rows of padding, which are never drawn.</param>
/// <param name="end">The token that ends a completion.</param>
public sealed class CompletionSampler(LanguageModel model, Device device, int tokens, int end)
{
    // Through the model each token of all is one pass, which a GPU makes in hardly more time for more.
    private const int OnCpu = 32, OnGpu = 256;

    // Blocks of cache that the decoder wants to be free for each sequence before it takes another, and one that a fork writes to.
    private const int SpareBlocks = 3;

    /// <summary>The most sequences that are decoded side by side.</summary>
    public static int MostParallel(DeviceType device) => device == DeviceType.CPU ? OnCpu : OnGpu;

    /// <summary>Completions of each request in the order of its seeds, the end token included; those without one were cut after
    /// <paramref name="length"/> tokens, or where the context is full. The seeds of the options are not used.</summary>
    public IReadOnlyList<IReadOnlyList<int[]>> Sample(IReadOnlyList<CompletionRequest> requests, SamplingOptions options, int length)
    {
        using EvaluationMode mode = EvaluationMode.Of(model);
        int most = CpuDecoder.Supports(model) ? CpuDecoder.MaxSequences : MostParallel(device.type);
        int parallel = Math.Clamp(requests.Sum(request => request.Seeds.Count), 1, most);
        using IBatchDecoder decoder = IBatchDecoder.Create(model, device, new EngineOptions
        {
            Parallel = parallel,
            CacheTokens = parallel * (model.ContextLength + SpareBlocks * BlockAllocator.BlockLength),
        });
        return new Run(this, decoder, requests, options, length).Finish();
    }

    private sealed class Run(
        CompletionSampler owner, IBatchDecoder decoder, IReadOnlyList<CompletionRequest> requests, SamplingOptions options, int length)
    {
        private readonly int[][][] done = [.. requests.Select(request => new int[request.Seeds.Count][])];
        private readonly List<Completion> present = [];
        private int request, sample; // the next to begin

        public IReadOnlyList<IReadOnlyList<int[]>> Finish()
        {
            while (true)
            {
                while (BeginNext()) { }
                if (present.Count == 0) return done;
                Extend();
            }
        }

        // Reads the next prompt and begins as many of its completions as there is room for.
        private bool BeginNext()
        {
            if (request == requests.Count) return false;
            (IReadOnlyList<int> prompt, IReadOnlyList<long> seeds) = requests[request];
            int count = Math.Min(decoder.Capacity - present.Count, seeds.Count - sample);
            if (count > 0)
            {
                if (!decoder.TryAdd(new() { Prompt = prompt }, []))
                    return present.Count > 0 ? false : throw new InvalidOperationException("There is no room for a single sequence.");
                ReadOnlySpan<float> logits; // (V)
                while ((logits = decoder.Read()).IsEmpty) { }
                // The last token is drawn, but needs no place.
                int most = Math.Min(length, owner.ContextLeft(prompt.Count));
                int before = present.Count;
                for (int i = 0; i < count; i++)
                {
                    Completion next = new(request, sample + i, new(options with { Seed = seeds[sample + i] }), most);
                    if (!Draw(next, logits)) present.Add(next);
                }
                decoder.Keep([.. Enumerable.Range(0, before), .. Enumerable.Repeat(before, present.Count - before)]);
                sample += count;
            }
            if (sample < seeds.Count) return count > 0 && present.Count < decoder.Capacity;
            (request, sample) = (request + 1, 0);
            return true;
        }

        // Adds a token to each.
        private void Extend()
        {
            ReadOnlySpan<float> logits = decoder.Next([.. present.Select(completion => completion.Tokens[^1])]); // (B, V)
            int width = logits.Length / present.Count;
            List<int> kept = [];
            for (int row = 0; row < present.Count; row++)
                if (!Draw(present[row], logits.Slice(row * width, width))) kept.Add(row);
            if (kept.Count == present.Count) return;
            decoder.Keep(kept);
            Completion[] left = [.. kept.Select(row => present[row])];
            present.Clear();
            present.AddRange(left);
        }

        // Whether the completion is over.
        private bool Draw(Completion completion, ReadOnlySpan<float> logits)
        {
            int token = completion.Sampler.Sample(logits[..owner.Known]);
            completion.Tokens.Add(token);
            if (token != owner.End && completion.Tokens.Count < completion.Most) return false;
            done[completion.Request][completion.Sample] = [.. completion.Tokens];
            return true;
        }
    }

    private int Known => Math.Min(model.VocabularySize, tokens); // embeddings may have padding rows

    private int End => end;

    private int ContextLeft(int prompt) => model.ContextLength + 1 - prompt;

    private sealed record Completion(int Request, int Sample, TokenSampler Sampler, int Most)
    {
        public List<int> Tokens { get; } = [];
    }
}
