using System.Runtime.InteropServices;
using Trainer.Configuration;

namespace Trainer.Text;

/// <summary>The functions of libzstd that decompression needs (zstd.h, stable part; any 1.4 or newer).</summary>
internal static partial class Zstd
{
    private const string Library = "zstd";

    private static readonly string[] Names =
        OperatingSystem.IsWindows() ? ["libzstd.dll", "zstd.dll"]
        : OperatingSystem.IsMacOS() ? ["libzstd.1.dylib", "/opt/homebrew/lib/libzstd.1.dylib", "/usr/local/lib/libzstd.1.dylib"]
        : ["libzstd.so.1", "libzstd.so"];

    private static readonly nint Handle = Load();

    static Zstd() => NativeLibrary.SetDllImportResolver(typeof(Zstd).Assembly, (name, _, _) => name == Library ? Handle : 0);

    /// <summary>Fails in plain words where the library is missing.</summary>
    /// <exception cref="UserException">libzstd is not installed.</exception>
    public static void Require()
    {
        if (Handle == 0)
            throw new UserException(
                $"reading Zstandard (.zst, or a Parquet file compressed with it) needs libzstd, and {string.Join(" or ", Names)} was not found; "
                + "install it (Debian and Ubuntu: apt-get install libzstd1)");
    }

    private static nint Load()
    {
        foreach (var name in Names)
            if (NativeLibrary.TryLoad(name, typeof(Zstd).Assembly, null, out var handle))
                return handle;
        return 0;
    }

    [LibraryImport(Library)]
    public static partial nint ZSTD_createDCtx();

    [LibraryImport(Library)]
    public static partial nuint ZSTD_freeDCtx(nint context);

    [LibraryImport(Library)]
    public static partial nuint ZSTD_DCtx_reset(nint context, int directive);

    [LibraryImport(Library)]
    public static partial nuint ZSTD_decompressStream(nint context, ref ZstdBuffer output, ref ZstdBuffer input);

    [LibraryImport(Library)]
    public static partial uint ZSTD_isError(nuint code);

    [LibraryImport(Library)]
    public static partial nint ZSTD_getErrorName(nuint code);
}

/// <summary><c>ZSTD_inBuffer</c> and <c>ZSTD_outBuffer</c>, which are alike.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ZstdBuffer
{
    public nint Start;
    public nuint Size;
    public nuint Position;
}
