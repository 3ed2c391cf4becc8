using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Threading.Channels;
using Trainer.Configuration;
using Trainer.Kernels;
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

    /// <summary>Tokens whose keys and values are kept, those of running texts first; never fewer than a context. Null for a context of each
    /// text.</summary>
    public int? CacheTokens { get; init; }
}

/// <summary>The tokens of a request, as they are made; the last has a <see cref="GeneratedToken.Finish"/>. To be read once.</summary>
public sealed class GenerationStream : IAsyncEnumerable<GeneratedToken>, IDisposable
{
    private readonly ChannelReader<GeneratedToken> tokens;
    private readonly Action abandon;

    private readonly Func<int> sharedTokens;

    internal GenerationStream(ChannelReader<GeneratedToken> tokens, Func<int> sharedTokens, Action abandon) =>
        (this.tokens, this.sharedTokens, this.abandon) = (tokens, sharedTokens, abandon);

    /// <summary>Tokens of the prompt that needed no reading, as an earlier prompt had the same beginning; known with the first
    /// token.</summary>
    public int SharedTokens => sharedTokens();

    /// <inheritdoc/>
    public IAsyncEnumerator<GeneratedToken> GetAsyncEnumerator(CancellationToken cancellationToken = default) =>
        tokens.ReadAllAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);

    /// <summary>Ends the work on it before the next token.</summary>
    public void Dispose() => abandon();
}

/// <summary>Generates texts for many callers at once by continuous batching (Yu et al., "Orca", OSDI 2022): requests join and leave the
/// running batch between tokens.</summary>
/// <remarks>Thread-safe. A text does not depend on what else runs; with models that the decoder for CPUs does not take, its probabilities
/// may differ by their rounding. One thread of its own decodes; between two tokens of the others a piece of one prompt at most is read.
/// Where memory for keys and values runs out, requests wait, and the one that began last is interrupted: it goes on later, with the same
/// tokens.</remarks>
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
    private readonly LinkedList<Sequence> waiting = [];
    private readonly List<Sequence> running = []; // in the order of the decoder's sequences
    private readonly Meter meter;
    private readonly Counter<long> promptTokens, sharedTokens, generatedTokens, interruptions;
    private readonly Histogram<double> timeToFirstToken;
    private IBatchDecoder decoder;
    private Sequence? reading; // whose prompt is not read to its end
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
        decoder = OwnThread.Run(() => IBatchDecoder.Create(model, device, this.options)); // the engine's thread alone calls libtorch
        meter = new(new MeterOptions(MeterName) { Scope = this });
        promptTokens = meter.CreateCounter<long>("prompt_tokens", "tokens", "Tokens of prompts.");
        sharedTokens = meter.CreateCounter<long>(
            "shared_prompt_tokens", "tokens", "Tokens of prompts that needed no reading, as an earlier prompt had the same beginning.");
        generatedTokens = meter.CreateCounter<long>("generated_tokens", "tokens", "Tokens that were generated.");
        interruptions = meter.CreateCounter<long>("interruptions", "requests", "Requests that had to wait for memory after they began.");
        timeToFirstToken = meter.CreateHistogram<double>(
            "time_to_first_token_seconds", "s", "Time from a request to its first token, in the queue included.");
        meter.CreateObservableGauge("requests_running", () => Running, "requests", "Requests that are being generated.");
        meter.CreateObservableGauge("requests_waiting", () => Waiting, "requests", "Requests in the queue.");
        meter.CreateObservableGauge(
            "key_value_memory_use", () => decoder.MemoryUse, "1", "The part of the memory for keys and values that is taken.");
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
    /// <exception cref="UserException">The prompt exceeds the context, the model gives no distribution to draw from, or it has no such
    /// adapter.</exception>
    /// <exception cref="ConfigurationException">A sampling option is out of its range.</exception>
    public GenerationStream Generate(GenerationRequest request)
    {
        PromptException.ThrowIfUnfit(model, request.Prompt.Count, model.ContextLength);
        model.Slot(request.Adapter);
        Sequence sequence = new(request);
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(stopping, this);
            // Those that have a place free are not waiting for anybody.
            if (waiting.Count >= options.QueueLength + Math.Max(0, decoder.Capacity - Running))
                throw new EngineBusyException($"{waiting.Count} requests are waiting; try again later");
            waiting.AddLast(sequence);
        }
        work.Release();
        return new(sequence.Tokens.Reader, () => sequence.SharedTokens, () => Abandon(sequence));
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
            if (running.Count == 0 && reading is null && Waiting == 0) work.Wait(); // one release a request; further ones end at once
            if (stopping) break;
            if (reading is null) StartReading();
            if (reading is not null) ReadPiece();
            Step();
        }
        foreach (Sequence sequence in running.Concat(waiting).Append(reading).OfType<Sequence>())
            sequence.Fail(new OperationCanceledException("the engine was stopped"));
        decoder.Dispose();
    }

    // Nobody waits for it any more.
    private void Abandon(Sequence sequence)
    {
        sequence.IsAbandoned = true;
        lock (gate) waiting.Remove(sequence);
    }

    // The first in the queue, if there is room for it.
    private void StartReading()
    {
        lock (gate)
        {
            if (running.Count == decoder.Capacity || waiting.First is not { Value: var sequence }) return;
            try
            {
                if (!decoder.TryAdd(sequence.Request, sequence.Continuation)) return;
                reading = sequence;
                if (!sequence.HasBegun) sequence.SharedTokens = decoder.SharedTokens;
            }
            catch (Exception error)
            {
                sequence.Fail(error);
            }
            waiting.RemoveFirst();
        }
    }

    // After the last piece of a prompt, the first token is drawn.
    private void ReadPiece()
    {
        Sequence sequence = reading!;
        try
        {
            if (sequence.IsAbandoned)
            {
                decoder.StopReading();
                reading = null;
                return;
            }
            ReadOnlySpan<float> logits = decoder.Read();
            if (logits.IsEmpty) return;
            reading = null;
            running.Add(sequence);
            if (sequence.HasBegun) return; // the next token was drawn before the interruption
            promptTokens.Add(sequence.Request.Prompt.Count);
            sharedTokens.Add(sequence.SharedTokens);
            Draw(sequence, logits);
            timeToFirstToken.Record(Stopwatch.GetElapsedTime(sequence.Arrival).TotalSeconds);
        }
        catch (Exception error)
        {
            decoder.StopReading();
            reading = null;
            sequence.Fail(error);
        }
    }

    private void Step()
    {
        Clear();
        if (running.Count == 0) return;
        try
        {
            while (!decoder.TryReserveNext()) Interrupt();
            ReadOnlySpan<float> logits = decoder.Next([.. running.Select(sequence => sequence.Last)]); // (B, V)
            for (int i = 0; i < running.Count; i++) Draw(running[i], logits.Slice(i * model.VocabularySize, model.VocabularySize));
        }
        catch (Exception error)
        {
            // What the decoder holds is not known any more.
            foreach (Sequence sequence in running) sequence.Fail(error);
            running.Clear();
            Requeue();
            decoder.Dispose();
            decoder = IBatchDecoder.Create(model, device, options);
        }
        Clear();
    }

    // Frees the memory of the request that began last; a single one always has enough.
    private void Interrupt()
    {
        if (Requeue()) return;
        if (running.Count == 1) throw new InvalidOperationException("There is no memory for a single text.");
        Sequence last = running[^1];
        running.RemoveAt(running.Count - 1);
        decoder.Keep([.. Enumerable.Range(0, running.Count)]);
        lock (gate) waiting.AddFirst(last);
        interruptions.Add(1);
    }

    // What is being read goes back to the queue; false where nothing is.
    private bool Requeue()
    {
        if (reading is null) return false;
        decoder.StopReading();
        lock (gate) waiting.AddFirst(reading);
        reading = null;
        return true;
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
        private readonly List<int> generated = [];
        private readonly List<GeneratedToken> held = []; // not handed over yet
        private float[] adjusted = [];

        public GenerationRequest Request => request;

        public Channel<GeneratedToken> Tokens { get; } =
            Channel.CreateUnbounded<GeneratedToken>(new() { SingleReader = true, SingleWriter = true });

        public long Arrival { get; } = Stopwatch.GetTimestamp();

        /// <summary>Whether its first token was drawn.</summary>
        public bool HasBegun => generated.Count > 0;

        /// <summary>What was generated and read: all but the last token.</summary>
        public IReadOnlyList<int> Continuation => HasBegun ? generated[..^1] : [];

        public int SharedTokens { get; set; }

        public int Last => generated[^1];

        public bool HasEnded { get; private set; }

        /// <summary>Whether nobody reads it any more.</summary>
        public volatile bool IsAbandoned;

        public void Draw(ReadOnlySpan<float> logits, int context)
        {
            generated.Add(sampler.Sample(Adjusted(logits)));
            if (request.StopTokens.Contains(Last))
            {
                End(new(-1, double.NaN, [], FinishReason.Stop));
                return;
            }
            counts[Last] = counts.GetValueOrDefault(Last) + 1;
            (double probability, IReadOnlyList<(int, double)> top) = LogProbabilities(logits);
            // The last token of a full context is generated, but nothing follows it.
            bool full = generated.Count >= request.MaxTokens || request.Prompt.Count + generated.Count > context;
            GeneratedToken token = new(Last, probability, top, full ? FinishReason.Length : null);
            if (full)
            {
                End(token);
                return;
            }
            held.Add(token);
            if (held.Count >= request.StreamInterval) HandOver();
        }

        public void Fail(Exception error)
        {
            HasEnded = true;
            HandOver();
            Tokens.Writer.TryComplete(error);
        }

        private void End(GeneratedToken token)
        {
            HasEnded = true;
            held.Add(token);
            HandOver();
            Tokens.Writer.TryComplete();
        }

        private void HandOver()
        {
            foreach (GeneratedToken token in held) Tokens.Writer.TryWrite(token);
            held.Clear();
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
