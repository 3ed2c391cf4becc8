using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text;
using LLama.Native;
using Trainer.Configuration;

namespace Trainer.Verification;

/// <summary>llama.cpp, loaded into this process when first used; its log is kept, and shown where something fails.</summary>
internal static class LlamaCpp
{
    private const string Folder = "llama.cpp";

    // A static field: llama.cpp keeps the pointer.
    private static readonly NativeLogConfig.LLamaLogCallback Log = (level, message) =>
    {
        if (level == LLamaLogLevel.Error) lastError = message.Trim();
    };

    private static readonly Lazy<string> Loaded = new(LoadLibrary);

    private static string lastError = "";

    // As many as libtorch has: each spins while it waits for the others.
    private static int Threads => TorchSharp.torch.get_num_threads();

    /// <summary>The package that the library is from, and what it uses of the processor.</summary>
    public static string Version
    {
        get
        {
            Load();
            string package = typeof(LlamaCpp).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
                .Single(attribute => attribute.Key == "LlamaCppPackage").Value!;
            return $"{package}; {Marshal.PtrToStringUTF8(NativeApi.llama_print_system_info())!.Trim().TrimEnd('|').Trim()}";
        }
    }

    /// <summary>Loads the library.</summary>
    /// <exception cref="UserException">It cannot be loaded; the message says what the system lacks.</exception>
    public static void Load() => _ = Loaded.Value;

    /// <summary>Opens a model with its cache in float32 and plain attention, so that nothing is rounded but as the file is stored.</summary>
    /// <exception cref="LlamaException">llama.cpp refuses it.</exception>
    public static LlamaModel Open(string path, int context)
    {
        Load();
        lastError = "";
        try
        {
            LLamaModelParams model = LLamaModelParams.Default();
            model.n_gpu_layers = 0;
            SafeLlamaModelHandle handle = SafeLlamaModelHandle.LoadFromFile(path, model);
            LLamaContextParams settings = LLamaContextParams.Default();
            (settings.n_ctx, settings.n_batch, settings.n_ubatch) = ((uint)context, (uint)context, (uint)context);
            (settings.n_threads, settings.n_threads_batch) = (Threads, Threads);
            (settings.type_k, settings.type_v) = (GGMLType.GGML_TYPE_F32, GGMLType.GGML_TYPE_F32);
            settings.llama_flash_attn_type = LLamaFlashAttentionType.LLAMA_FLASH_ATTENTION_TYPE_DISABLED;
            return new(handle, handle.CreateContext(settings));
        }
        catch (Exception error) when (error is LLama.Exceptions.RuntimeError or LLama.Exceptions.LoadWeightsFailedException or IOException)
        {
            throw new LlamaException(lastError.Length > 0 ? lastError : error.Message, error);
        }
    }

    /// <summary>Stores a file's matrices in another type, float32 among them, by llama.cpp's own quantizer.</summary>
    /// <exception cref="LlamaException">llama.cpp refuses it.</exception>
    public static void Quantize(string source, string target, LLamaFtype type)
    {
        Load();
        lastError = "";
        LLamaModelQuantizeParams settings = LLamaModelQuantizeParams.Default();
        (settings.ftype, settings.allow_requantize, settings.nthread) = (type, true, Threads);
        if (NativeApi.llama_model_quantize(source, target, ref settings) != 0)
            throw new LlamaException(lastError.Length > 0 ? lastError : "its quantizer failed and does not say why");
    }

    private static string LoadLibrary()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, Folder), avx2 = Path.Combine(folder, "avx2");
        if (Directory.Exists(avx2)) folder = Avx2.IsSupported && Fma.IsSupported ? avx2 : Path.Combine(folder, "noavx");
        string name = OperatingSystem.IsWindows() ? "llama.dll" : OperatingSystem.IsMacOS() ? "libllama.dylib" : "libllama.so";
        string path = Path.Combine(folder, name);
        try
        {
            NativeLibrary.Load(path); // LLamaSharp does not say what is missing
            NativeLibraryConfig.LLama.WithLibrary(path).WithAutoFallback(false).WithLogCallback(Log);
            NativeApi.llama_empty_call();
            NativeLogConfig.llama_log_set(Log);
            return path;
        }
        catch (Exception error) when (error is DllNotFoundException or BadImageFormatException or TypeInitializationException
            or LLama.Exceptions.RuntimeError)
        {
            string reason = (error is TypeInitializationException ? error.InnerException ?? error : error).Message.Split('\n')[0];
            string fix = OperatingSystem.IsLinux() ? "it needs libgomp.so.1 (Debian: apt install libgomp1) and libstdc++.so.6"
                : "build the program again: dotnet build";
            throw new UserException($"llama.cpp could not be loaded: {reason.TrimEnd('.')}; {fix}", error);
        }
    }
}

/// <summary>What llama.cpp says of a file that it does not take.</summary>
internal sealed class LlamaException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>A model of llama.cpp with one sequence of tokens.</summary>
internal sealed class LlamaModel(SafeLlamaModelHandle model, SafeLLamaContextHandle context) : IDisposable
{
    private readonly LLamaBatch batch = new();
    private int position;

    /// <summary>Number of tokens of the vocabulary; the width of <see cref="Read"/>'s rows.</summary>
    public int VocabularySize => model.Vocab.Count;

    /// <summary>Whether it has a tokenizer, or only ids.</summary>
    public bool HasTokenizer => model.Vocab.Type != LLamaVocabType.None;

    /// <summary>The ids of a text, special tokens in it and around it among them.</summary>
    public int[] Encode(string text) => [.. model.Tokenize(text, true, true, Encoding.UTF8).Select(token => (int)token)];

    /// <summary>Starts a new text.</summary>
    public void Clear()
    {
        context.MemoryClear(true);
        position = 0;
    }

    /// <summary>Reads further tokens; returns the logits after each, row by row.</summary>
    public float[] Read(IReadOnlyList<int> tokens)
    {
        batch.Clear();
        foreach (int token in tokens) batch.Add(token, position++, LLamaSeqId.Zero, true);
        if (context.Decode(batch) is var result and not DecodeResult.Ok) throw new LlamaException($"it does not decode: {result}");
        float[] logits = new float[tokens.Count * VocabularySize];
        for (int row = 0; row < tokens.Count; row++)
            context.GetLogitsIth(row).CopyTo(logits.AsSpan(row * VocabularySize, VocabularySize));
        return logits;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        context.Dispose();
        model.Dispose();
    }
}
