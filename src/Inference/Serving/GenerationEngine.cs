using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Threading.Channels;
using Trainer.Configuration;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference.Serving;

/// <summary>The settings of a <see cref="GenerationEngine"/>.</summary>
public sealed record EngineOptions
{
    /// <summary>Texts that are generated side by side at most.</summary>
    public int Parallel { get; init; } = CpuDecoder.MaxSequences;

    /// <summary>Requests that wait for one of them to end at most; more are refused.</summary>
    public int QueueLength { get; init; } = 256;
}

/// <summary>The tokens of a request, as they are made; the last has a <see cref="GeneratedToken.Finish"/>. To be read once.</summary>
public sealed class GenerationStream : IAsyncEnumerable<GeneratedToken>, IDisposable
{
    private readonly ChannelReader<GeneratedToken> tokens;
    private readonly Action abandon;

    internal GenerationStream(ChannelReader<GeneratedToken> tokens, Action abandon) => (this.tokens, this.abandon) = (tokens, abandon);

    /// <inheritdoc/>
    public IAsyncEnumerator<GeneratedToken> GetAsyncEnumerator(CancellationToken cancellationToken = default) =>
        tokens.ReadAllAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);

    /// <summary>Ends the work on it before the next token.</summary>
    public void Dispose() => abandon();
}

/// <summary>Generates texts for many callers at once by continuous batching (Yu et al., "Orca", OSDI 2022): requests join and leave the
/// running batch between tokens.</summary>
/// <remarks>Thread-safe. A text does not depend on what else runs. One thread of its own decodes; between two tokens of the others one
/// prompt at most is read.</remarks>
public sealed class GenerationEngine : IDisposable
{
    /// <summary>The name of the <see cref="Meter"/> whose instruments count requests and tokens; its scope is the engine.</summary>
    public const string MeterName = "trainer";

    private readonly LanguageModel model;
    private readonly Device device;
    private readonly int vocabulary;
    private readonly EngineOptions options;
    private readonly Thread thread;
    private readonly Lock gate = new();
    private readonly SemaphoreSlim work = new(0);
    private readonly Queue<Sequence> waiting = [];
    private readonly List<Sequence> running = []; // in the order of the decoder's sequences
    private readonly Meter meter;
    private readonly Counter<long> promptTokens, generatedTokens;
    private readonly Histogram<double> timeToFirstToken;
    private IBatchDecoder decoder;
    private volatile bool stopping;

    /// <summary>Starts the engine.</summary>
    /// <param name="model">A model that generates, on <paramref name="device"/>; in evaluation mode from now on, and the engine's alone
    /// until it is disposed.</param>
    /// <param name="vocabulary">How many of the model's tokens the tokenizer knows.</param>
    /// <param name="device">The model's device.</param>
    /// <param name="options">By default, 8 texts at a time and 256 waiting.</param>
    /// <exception cref="ConfigurationException">The model's decoder does not take so many texts at a time.</exception>
    public GenerationEngine(LanguageModel model, int vocabulary, Device device, EngineOptions? options = null)
    {
        (this.model, this.device, this.options) = (model, device, options ?? new());
        this.vocabulary = Math.Min(vocabulary, model.VocabularySize);
        model.eval();
        decoder = IBatchDecoder.Create(model, device, this.options.Parallel);
        meter = new(new MeterOptions(MeterName) { Scope = this });
        promptTokens = meter.CreateCounter<long>("prompt_tokens", "tokens", "Tokens of prompts that were read.");
        generatedTokens = meter.CreateCounter<long>("generated_tokens", "tokens", "Tokens that were generated.");
        timeToFirstToken = meter.CreateHistogram<double>(
            "time_to_first_token_seconds", "s", "Time from a request to its first token, in the queue included.");
        meter.CreateObservableGauge("requests_running", () => Running, "requests", "Requests that are being generated.");
        meter.CreateObservableGauge("requests_waiting", () => Waiting, "requests", "Requests in the queue.");
        thread = new Thread(Run) { IsBackground = true, Name = "generation" };
        thread.Start();
    }

    /// <summary>Requests that are being generated.</summary>
    public int Running { get; private set; }

    /// <summary>Requests in the queue.</summary>
    public int Waiting
    {
        get { lock (gate) return waiting.Count; }
    }

    /// <summary>Puts a request into the queue.</summary>
    /// <returns>Its tokens as they are made; disposing of it ends the work on it.</returns>
    /// <exception cref="EngineBusyException">The queue is full.</exception>
    /// <exception cref="UserException">The prompt exceeds the context, or the model gives no distribution to draw from.</exception>
    /// <exception cref="ConfigurationException">A sampling option is out of its range.</exception>
    public GenerationStream Generate(GenerationRequest request)
    {
        PromptException.ThrowIfUnfit(model, request.Prompt.Count, model.ContextLength);
        Sequence sequence = new(request);
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(stopping, this);
            // Those that have a place free are not waiting for anybody.
            if (waiting.Count >= options.QueueLength + Math.Max(0, decoder.Capacity - Running))
                throw new EngineBusyException($"{waiting.Count} requests are waiting; try again later");
            waiting.Enqueue(sequence);
        }
        work.Release();
        return new(sequence.Tokens.Reader, () => sequence.IsAbandoned = true);
    }

    /// <summary>Ends all requests and the engine's thread; the model stays.</summary>
    public void Dispose()
    {
        lock (gate) stopping = true; // nothing is queued from now on
        work.Release();
        thread.Join();
        meter.Dispose();
        work.Dispose();
    }

    private void Run()
    {
        while (!stopping)
        {
            if (running.Count == 0) work.Wait(); // one release a request; further ones end at once
            if (stopping) break;
            if (Next() is { } sequence) Begin(sequence);
            Step();
        }
        foreach (Sequence sequence in running.Concat(waiting)) sequence.Fail(new OperationCanceledException("the engine was stopped"));
        decoder.Dispose();
    }

    private Sequence? Next()
    {
        lock (gate)
        {
            while (running.Count < decoder.Capacity && waiting.TryDequeue(out Sequence? sequence))
                if (!sequence.IsAbandoned) return sequence;
            return null;
        }
    }

    // The prompt is read, and the first token drawn.
    private void Begin(Sequence sequence)
    {
        try
        {
            ReadOnlySpan<float> logits = decoder.Add(sequence.Request.Prompt, sequence.Request.Source);
            running.Add(sequence);
            promptTokens.Add(sequence.Request.Prompt.Count);
            Draw(sequence, logits);
            timeToFirstToken.Record(Stopwatch.GetElapsedTime(sequence.Arrival).TotalSeconds);
        }
        catch (Exception error)
        {
            sequence.Fail(error);
        }
    }

    private void Step()
    {
        Clear();
        if (running.Count == 0) return;
        try
        {
            ReadOnlySpan<float> logits = decoder.Next([.. running.Select(sequence => sequence.Last)]); // (B, V)
            for (int i = 0; i < running.Count; i++) Draw(running[i], logits.Slice(i * model.VocabularySize, model.VocabularySize));
        }
        catch (Exception error)
        {
            // What the decoder holds is not known any more.
            foreach (Sequence sequence in running) sequence.Fail(error);
            running.Clear();
            decoder.Dispose();
            decoder = IBatchDecoder.Create(model, device, options.Parallel);
        }
        Clear();
    }

    private void Draw(Sequence sequence, ReadOnlySpan<float> logits)
    {
        try
        {
            sequence.Draw(logits[..vocabulary], model.ContextLength);
            generatedTokens.Add(1);
        }
        catch (UserException error)
        {
            sequence.Fail(error);
        }
    }

    // Those that have ended leave.
    private void Clear()
    {
        if (running.TrueForAll(sequence => !sequence.HasEnded && !sequence.IsAbandoned))
        {
            Running = running.Count;
            return;
        }
        int[] kept = [.. Enumerable.Range(0, running.Count).Where(i => !running[i].HasEnded && !running[i].IsAbandoned)];
        decoder.Keep(kept);
        Sequence[] staying = [.. kept.Select(i => running[i])];
        running.Clear();
        running.AddRange(staying);
        Running = running.Count;
    }

    /// <summary>A request, and how far it is.</summary>
    private sealed class Sequence(GenerationRequest request)
    {
        private readonly TokenSampler sampler = new(request.Sampling);
        private readonly Dictionary<int, int> counts = [];
        private float[] adjusted = [];
        private int generated;

        public GenerationRequest Request => request;

        public Channel<GeneratedToken> Tokens { get; } =
            Channel.CreateUnbounded<GeneratedToken>(new() { SingleReader = true, SingleWriter = true });

        public long Arrival { get; } = Stopwatch.GetTimestamp();

        public int Last { get; private set; }

        public bool HasEnded { get; private set; }

        /// <summary>Whether nobody reads it any more.</summary>
        public volatile bool IsAbandoned;

        public void Draw(ReadOnlySpan<float> logits, int context)
        {
            Last = sampler.Sample(Adjusted(logits));
            generated++;
            if (request.StopTokens.Contains(Last))
            {
                End(new(-1, double.NaN, [], FinishReason.Stop));
                return;
            }
            counts[Last] = counts.GetValueOrDefault(Last) + 1;
            (double probability, IReadOnlyList<(int, double)> top) = LogProbabilities(logits);
            // The last token of a full context is generated, but nothing follows it.
            bool full = generated >= request.MaxTokens || request.Prompt.Count + generated > context;
            GeneratedToken token = new(Last, probability, top, full ? FinishReason.Length : null);
            if (full) End(token);
            else Tokens.Writer.TryWrite(token);
        }

        public void Fail(Exception error)
        {
            HasEnded = true;
            Tokens.Writer.TryComplete(error);
        }

        private void End(GeneratedToken token)
        {
            HasEnded = true;
            Tokens.Writer.TryWrite(token);
            Tokens.Writer.TryComplete();
        }

        private ReadOnlySpan<float> Adjusted(ReadOnlySpan<float> logits)
        {
            bool penalises = (request.FrequencyPenalty != 0 || request.PresencePenalty != 0) && counts.Count > 0;
            if (!penalises && request.LogitBias.Count == 0) return logits;
            if (adjusted.Length < logits.Length) adjusted = new float[logits.Length];
            logits.CopyTo(adjusted);
            foreach ((int id, double bias) in request.LogitBias) adjusted[id] += (float)bias;
            if (penalises)
                foreach ((int id, int count) in counts)
                    adjusted[id] -= (float)(count * request.FrequencyPenalty + request.PresencePenalty);
            return adjusted.AsSpan(0, logits.Length);
        }

        private (double Own, IReadOnlyList<(int Id, double LogProbability)> Top) LogProbabilities(ReadOnlySpan<float> logits)
        {
            if (request.TopLogProbabilities is not { } count) return (double.NaN, []);
            float largest = logits[0];
            foreach (float logit in logits) largest = MathF.Max(largest, logit);
            double sum = 0;
            foreach (float logit in logits) sum += Math.Exp((double)logit - largest);
            double total = largest + Math.Log(sum);
            PriorityQueue<int, (float, int)> best = new();
            for (int id = 0; id < logits.Length && count > 0; id++)
            {
                if (best.Count < count) best.Enqueue(id, (logits[id], -id));
                else best.EnqueueDequeue(id, (logits[id], -id));
            }
            var top = new (int, double)[best.Count];
            for (int rank = top.Length - 1; rank >= 0; rank--)
            {
                int id = best.Dequeue();
                top[rank] = (id, logits[id] - total);
            }
            return (logits[Last] - total, top);
        }
    }
}
