using LLama.Native;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Configuration;

namespace Trainer.Verification;

/// <summary>Types of less than 8 bits, which llama.cpp's own quantizer makes.</summary>
public static class QuantizedExport
{
    private static readonly Dictionary<string, LLamaFtype> Known = new()
    {
        ["q4_0"] = LLamaFtype.MOSTLY_Q4_0, ["q4_k_m"] = LLamaFtype.MOSTLY_Q4_K_M, ["q5_0"] = LLamaFtype.MOSTLY_Q5_0,
        ["q5_k_m"] = LLamaFtype.MOSTLY_Q5_K_M, ["q6_k"] = LLamaFtype.MOSTLY_Q6_K,
    };

    /// <summary>Their names.</summary>
    public static IReadOnlyCollection<string> Types => Known.Keys;

    /// <summary>Writes a file, complete or absent, by way of one in float32 beside it, and returns llama.cpp's name of the architecture.</summary>
    /// <remarks>Where a type's blocks of 256 or 32 do not divide a tensor's rows, llama.cpp takes another type for that tensor.</remarks>
    /// <exception cref="UserException">llama.cpp lacks the model or tokenizer, or writing fails.</exception>
    public static string Write(Checkpoint checkpoint, string output, string type)
    {
        string exact = $"{output}.f32-{Environment.ProcessId}.tmp", made = $"{output}.{type}-{Environment.ProcessId}.tmp";
        try
        {
            string architecture = CheckpointExport.Gguf(checkpoint, exact, GgufType.F32);
            LlamaCpp.Quantize(exact, made, Known[type]);
            File.Move(made, output, overwrite: true);
            return architecture;
        }
        catch (LlamaException error)
        {
            throw new UserException($"{output}: llama.cpp's quantizer does not make {type} of it: {error.Message}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{output}: it cannot be written: {error.Message}", error);
        }
        finally
        {
            if (File.Exists(exact)) File.Delete(exact);
            if (File.Exists(made)) File.Delete(made);
        }
    }
}
