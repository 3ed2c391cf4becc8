using System.Runtime.InteropServices;

namespace Trainer.Kernels;

/// <summary>CUDA's driver API, which is present wherever CUDA is and keeps its signatures.</summary>
internal static unsafe class CudaDriver
{
    private const int MajorAttribute = 75, MinorAttribute = 76, MultiprocessorsAttribute = 16;

    private static readonly Lazy<nint> Library = new(() =>
    {
        if (!NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1", out nint library))
            throw new TorchException("The driver of NVIDIA's GPUs is not there.");
        Check(((delegate* unmanaged[Cdecl]<uint, int>)NativeLibrary.GetExport(library, "cuInit"))(0), "cuInit");
        return library;
    });

    public static string Name(int device)
    {
        byte* name = stackalloc byte[256];
        Check(((delegate* unmanaged[Cdecl]<byte*, int, int, int>)Export("cuDeviceGetName"))(name, 256, Handle(device)), "cuDeviceGetName");
        return Marshal.PtrToStringUTF8((nint)name) ?? "";
    }

    public static Version Capability(int device) => new(Attribute(device, MajorAttribute), Attribute(device, MinorAttribute));

    public static int Multiprocessors(int device) => Attribute(device, MultiprocessorsAttribute);

    /// <summary>The newest CUDA that the driver supports.</summary>
    public static Version Version()
    {
        int number;
        Check(((delegate* unmanaged[Cdecl]<int*, int>)Export("cuDriverGetVersion"))(&number), "cuDriverGetVersion");
        return new(number / 1000, number % 1000 / 10); // 12040 is 12.4.
    }

    public static (long Free, long Total) Memory(int device)
    {
        int handle = Handle(device);
        nint context, previous;
        // The context that libtorch uses as well.
        Check(((delegate* unmanaged[Cdecl]<nint*, int, int>)Export("cuDevicePrimaryCtxRetain"))(&context, handle),
            "cuDevicePrimaryCtxRetain");
        try
        {
            Check(((delegate* unmanaged[Cdecl]<nint, int>)Export("cuCtxPushCurrent_v2"))(context), "cuCtxPushCurrent");
            nuint free, total;
            int status = ((delegate* unmanaged[Cdecl]<nuint*, nuint*, int>)Export("cuMemGetInfo_v2"))(&free, &total);
            Check(((delegate* unmanaged[Cdecl]<nint*, int>)Export("cuCtxPopCurrent_v2"))(&previous), "cuCtxPopCurrent");
            Check(status, "cuMemGetInfo");
            return ((long)free, (long)total);
        }
        finally
        {
            _ = ((delegate* unmanaged[Cdecl]<int, int>)Export("cuDevicePrimaryCtxRelease_v2"))(handle);
        }
    }

    private static nint Export(string name) => NativeLibrary.GetExport(Library.Value, name);

    private static int Handle(int device)
    {
        int handle;
        Check(((delegate* unmanaged[Cdecl]<int*, int, int>)Export("cuDeviceGet"))(&handle, device), "cuDeviceGet");
        return handle;
    }

    private static int Attribute(int device, int attribute)
    {
        int value;
        Check(((delegate* unmanaged[Cdecl]<int*, int, int, int>)Export("cuDeviceGetAttribute"))(&value, attribute, Handle(device)),
            "cuDeviceGetAttribute");
        return value;
    }

    private static void Check(int status, string function)
    {
        if (status != 0) throw new TorchException($"{function} of the GPU's driver failed with error {status}.");
    }
}
